//! The life of one machine of the release under test, from its first boot to its reset, and a second machine beside it that
//! boots its kernel without firmware.

use std::{fs, io::Cursor, path::PathBuf, time::Duration};

use sm_host::files;
use sm_image::uki;
use sm_model::ArtifactKind;

use super::{
    budget::{self, Cost},
    journey::{Traveller, Travellers},
    traits::Traits,
};
use crate::{
    BootReport, VmPlan,
    host_state::{HostState, Slot},
    suite::{
        bench::Bench,
        finding::{Findings, Looked, Stop},
        gather::trouble,
        machine::{BOOT, Machine},
    },
    vm::Firmware,
};

/// What machines are given on their first boot: nobody holds the other half of this key.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3b1J9m5tKQkJxQ0hXc1p2R0N6dEx3WmZyVjJkQ3lB owner@example.org";
/// Where the image puts it.
const KEY_FILE: &str = "/home/core/.ssh/authorized_keys";
/// Modes and owners of home, directory of keys, and list: sshd takes no keys from where others may write.
const KEY_MODES: &str = "700 core\n700 core\n600 core\n";
/// A file that is given by tmpfiles.d(5).
const GIVEN_FILE: (&str, &str) = ("/etc/boxcar/given", "by its owner\n");
/// What the owner writes there afterwards: the first boot's configuration must not come back over it.
const OWN_KEYS: &str = "# changed by hand";
/// What a kernel must be told when no boot loader tells which disk it came from: systemd finds ROOT by its label then. The
/// second type of file system is for the kernel, which takes tmpfs for the initial RAM disk only when it stands here: another
/// has no holes, and ROOT is made as a file that consists of them.
const ROOT: &str = "root=PARTLABEL=ROOT rootfstype=ext4,tmpfs mount.usrfstype=erofs";
/// Whether a boot reached what it is for, and what a version is marked good by.
const TARGETS: [&str; 2] = ["multi-user.target", "boot-complete.target"];
/// Files of the owner's.
const KEPT: [&str; 2] = ["/root/kept", "/etc/boxcar/kept"];

/// The machines so far.
#[derive(Default)]
pub(super) struct Life<'a> {
    traveller: Traveller<'a>,
    first: Option<Day>,
    second: Option<Day>,
    beside: Traveller<'a>,
    direct: Option<Day>,
}

/// What was seen of one boot.
#[derive(Debug, Clone)]
struct Day {
    report: BootReport,
    state: HostState,
    traits: Traits,
    provisioned: Provisioned,
    /// Which of the targets are reached.
    targets: Vec<String>,
    cost: Option<Cost>,
}

/// What came of the configuration from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Provisioned {
    /// Mode and owner of home, directory and list of keys, and what is in that.
    keys: String,
    /// The file that was given.
    given: String,
}

impl Day {
    /// Looks at a machine that has come to rest.
    fn of(bench: &Bench<'_>, machine: &mut Machine<'_>, report: BootReport) -> Result<Self, Stop> {
        bench.phase("look");
        let keys = machine.ask(&format!(
            "file={KEY_FILE}; dir=${{file%/*}}; stat -c '%a %U' ${{dir%/*}} $dir $file && cat $file"
        ))?;
        let given = machine.ask(&format!("cat {}", GIVEN_FILE.0))?;
        let meminfo = machine.ask("cat /proc/meminfo")?;
        let targets = machine.ask(&format!(
            "for target in {}; do systemctl is-active --quiet $target && echo $target; done; true",
            TARGETS.join(" ")
        ))?;
        Ok(Day {
            state: HostState::of(machine.vm())?,
            traits: Traits::of(machine)?,
            provisioned: Provisioned { keys, given },
            targets: targets.lines().map(str::to_owned).collect(),
            cost: Cost::of(&report, &meminfo),
            report,
        })
    }

    /// What every boot of the release under test must be like.
    fn judge(&self, bench: &Bench<'_>) -> Findings {
        let manifest = bench.release().manifest();
        let mut findings = Findings::of(format!("a boot to rest in {} ms", self.report.settled_millis));
        findings.expect_equal("the system", self.report.state.as_str(), "running");
        let failed = self.report.failed_units.iter().map(|unit| format!("`{unit}` failed"));
        findings.problems.extend(failed);
        findings.require(self.has_reached(TARGETS[0]), || format!("`{}` was not reached", TARGETS[0]));
        findings.expect_equal("the version", self.state.version, manifest.version);
        findings.expect_equal("the root hash", self.state.root_hash, manifest.usr_root_hash);
        findings.require(self.state.slot == Slot::A, || "it runs from slot B of a fresh disk".to_owned());
        findings
    }

    fn has_reached(&self, target: &str) -> bool {
        self.targets.iter().any(|reached| reached == target)
    }
}

impl<'a> Life<'a> {
    /// The first boot, through firmware, of a disk as it is published.
    fn first(&mut self, bench: &Bench<'a>) -> Result<&Day, Stop> {
        if self.first.is_none() {
            let day = self.traveller.step(|traveller| {
                let machine = traveller.machine(bench, || {
                    bench.phase("boot");
                    bench.start("a", given_from_outside(bench.plan("a", bench.release())?))
                })?;
                let report = machine.next_boot()?;
                let day = Day::of(bench, machine, report)?;
                let [one, other] = KEPT;
                machine.ask(&format!("echo '{OWN_KEYS}' > {KEY_FILE}; touch {one} {other}; sync"))?;
                Ok(day)
            })?;
            self.first = Some(day);
        }
        Ok(self.first.as_ref().expect("it was made above"))
    }

    /// The second boot, after an orderly one.
    fn second(&mut self, bench: &Bench<'a>) -> Result<(&Day, &Day), Stop> {
        self.first(bench)?;
        if self.second.is_none() {
            let day = self.traveller.step(|traveller| {
                let machine = traveller.same(bench)?;
                bench.phase("reboot");
                let report = machine.reboot()?;
                Day::of(bench, machine, report)
            })?;
            self.second = Some(day);
        }
        let days = (self.first.as_ref(), self.second.as_ref());
        Ok((days.0.expect("it was made first"), days.1.expect("it was made above")))
    }

    /// Another machine's first boot, of the same kernel without firmware.
    fn direct(&mut self, bench: &Bench<'a>) -> Result<&Day, Stop> {
        if self.direct.is_none() {
            let day = self.beside.step(|_| {
                bench.phase("boot");
                let mut plan = given_from_outside(bench.plan("direct", bench.release())?);
                plan.firmware = kernel_of(bench)?;
                let mut machine = bench.start("direct", plan)?;
                let report = machine.next_boot()?;
                Day::of(bench, &mut machine, report)
            })?;
            self.direct = Some(day);
        }
        Ok(self.direct.as_ref().expect("it was made above"))
    }
}

fn given_from_outside(mut plan: VmPlan) -> VmPlan {
    plan.access = plan.access.with_ssh_key("core", KEY).with_file(GIVEN_FILE.0, GIVEN_FILE.1);
    plan
}

/// Kernel, initial RAM disk and command line, taken out of the kernel image.
fn kernel_of(bench: &Bench<'_>) -> Result<Firmware, Stop> {
    let path = bench.release().path_of(ArtifactKind::KernelImage)?;
    let bytes = fs::read(&path).map_err(trouble("read", &path))?;
    let unusable = |error: uki::Error| Stop::Broken(format!("`{}` is unusable: {error}", path.display()));
    let image = uki::Image::read(&mut Cursor::new(&bytes)).map_err(unusable)?;
    let part = |section: &str, name: &str| -> Result<PathBuf, Stop> {
        let range = &image.section(section).ok_or_else(|| unusable(uki::Error::NoSection(".linux")))?.bytes;
        let file = bench.dir().join(name);
        files::write_atomic(&file, &bytes[range.start as usize..range.end as usize])?;
        Ok(file)
    };
    Ok(Firmware::Kernel {
        kernel: part(".linux", "kernel")?,
        initrd: part(".initrd", "initrd")?,
        command_line: format!("{} {ROOT}", image.cmdline()),
    })
}

/// `boot.direct`: kernel and initial RAM disk boot without firmware.
pub fn direct<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let day = travellers.life.direct(bench)?;
    Ok(day.judge(bench))
}

/// `boot.uefi`: the disk image boots through firmware, and what it booted is marked good.
pub fn uefi<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let first = travellers.life.first(bench)?;
    let mut findings = first.judge(bench);
    // A boot that the boot loader does not count is marked good by nobody, and its health is never asked for.
    findings.require(first.has_reached(TARGETS[1]), || {
        format!("`{}` was not reached: nobody asked whether the first boot is healthy", TARGETS[1])
    });
    let manifest = bench.release().manifest();
    let machine = travellers.life.traveller.same(bench)?;
    bench.phase("mark good");
    let good = format!("{}_{}.efi", manifest.os, manifest.version);
    // The boot loader counts the first boot, too.
    let listed = machine.wait_for(
        "the image marked good",
        "ls /efi/EFI/Linux",
        |answer| answer.output.lines().any(|name| name.trim() == good),
        BOOT,
    )?;
    findings.expect_equal("the list of kernel images", listed.output.trim(), &good);
    Ok(findings)
}

/// `boot.second`: an orderly second boot provisions nothing again, and everything is still there.
pub fn second<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let (first, second) = travellers.life.second(bench)?;
    let mut findings = second.judge(bench);
    findings.problems.extend(first.traits.changed_until(&second.traits));
    findings.problems.extend(first.traits.stale_in(&second.traits));
    let machine = travellers.life.traveller.same(bench)?;
    bench.phase("assert");
    findings.problems.extend(done_again(machine)?);
    let [one, other] = KEPT;
    let kept = machine.ask(&format!("ls {one} {other} 2>&1 | sort | tr '\\n' ' '"))?;
    findings.expect_equal("what the owner wrote", kept.as_str(), "/etc/boxcar/kept /root/kept");
    let boots = machine.ask("journalctl --list-boots --quiet --no-pager | wc -l")?;
    findings.expect_equal("the number of boots in the journal", boots.as_str(), "2");
    Ok(findings)
}

/// What a second boot did although it belongs to the first.
fn done_again(machine: &mut Machine<'_>) -> Result<Vec<String>, Stop> {
    /// Units of a first boot.
    const ONCE: [&str; 3] =
        ["boxcar-sshd-keygen.service", "boxcar-disk-id.service", "systemd-machine-id-commit.service"];
    let script = format!(
        "for unit in {}; do echo $unit $(systemctl show --property=ConditionResult --value $unit); done
         echo wrote $(find /etc -xdev ! -type d -newerct \"$(uptime -s)\" ! -path {given})
         echo first-boot $(systemctl is-active first-boot-complete.target)
         echo formatted $(journalctl --boot --quiet --no-pager --output=cat | grep -c -e 'successfully formatted as' \\
             -e 'Detected first boot')",
        ONCE.join(" "),
        given = GIVEN_FILE.0,
    );
    let answer = machine.ask(&script)?;
    Ok(judge_again(&answer))
}

fn judge_again(answer: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in answer.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [unit, "yes"] => problems.push(format!("`{unit}` ran again")),
            ["first-boot", "active"] => {
                problems.push("the second boot takes itself for the first".to_owned())
            }
            ["wrote", ..] if line.trim() != "wrote" => {
                problems
                    .push(format!("the second boot wrote below /etc: `{}`", line["wrote".len()..].trim()));
            }
            ["formatted", n] if n != "0" => {
                problems
                    .push(format!("{n} lines of the journal tell of a first boot, or of a new file system"));
            }
            _ => {}
        }
    }
    problems
}

/// `boot.budget`: what these boots cost.
pub fn cost<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let life = &mut travellers.life;
    life.direct(bench)?;
    life.second(bench)?;
    let days = [&life.first, &life.second, &life.direct];
    let costs: Vec<Cost> = days.iter().filter_map(|day| day.as_ref()?.cost.clone()).collect();
    Ok(budget::judge(&costs, bench.host().accelerator()))
}

/// `provision.first-boot`: configuration from outside is applied on the first boot, and only then.
pub fn first_boot<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let (first, second) = travellers.life.second(bench)?;
    let mut findings = Findings::of("a key, a file and a unit from outside");
    findings.expect_equal(
        "the list of keys after the first boot",
        first.provisioned.keys.as_str(),
        &given_keys(),
    );
    findings.expect_equal("the given file", first.provisioned.given.as_str(), GIVEN_FILE.1.trim());
    let own = format!("{KEY_MODES}{OWN_KEYS}");
    findings.expect_equal("the list of keys that the owner changed", second.provisioned.keys.as_str(), &own);
    let machine = travellers.life.traveller.same(bench)?;
    bench.phase("assert");
    let secret = KEY.split(' ').nth(1).unwrap_or(KEY);
    let told = machine.ask(&format!("journalctl --no-pager --quiet | grep -c -F '{secret}' || true"))?;
    findings.expect_equal("the number of journal lines that give the configuration away", told.as_str(), "0");
    findings.require(!machine.console().text().contains(secret), || {
        "the console gives the configuration away".to_owned()
    });
    let readable = machine.ask(&format!(
        "find /etc /home /root /run /tmp /var -xdev -type f -perm /004 -size -64k -exec grep -l -F '{secret}' {{}} + 2>/dev/null || true"
    ))?;
    findings.expect_equal("what everybody may read of the configuration", readable.as_str(), "");
    findings.problems.extend(not_grown(&machine.ask(ROOM)?));
    // The shell that answers is itself a unit from outside.
    findings.notes.push("the guest's shell is a unit from outside".to_owned());
    Ok(findings)
}

/// Bytes of the disk, and of the file system on its last partition.
const ROOM: &str = r#"
part=$(findmnt --noheadings --output SOURCE /)
disk=/dev/$(lsblk --noheadings --nodeps --output PKNAME "$part")
echo "disk $(lsblk --noheadings --nodeps --bytes --output SIZE "$disk")"
echo "before $(( $(cat /sys/class/block/${part#/dev/}/start) * 512 ))"
echo "root $(df --block-size=1 --output=size / | tail -n 1)"
"#;

/// What is wrong unless ROOT takes all that the disk has for it: a file system keeps some of its partition for itself.
fn not_grown(said: &str) -> Option<String> {
    const MIN_SHARE: f64 = 0.85;
    let bytes = |key: &str| {
        said.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let room_bytes = bytes("disk ").saturating_sub(bytes("before "));
    let is_grown = room_bytes > 0 && bytes("root ") as f64 >= MIN_SHARE * room_bytes as f64;
    (!is_grown).then(|| format!("ROOT has {} bytes, the disk has {room_bytes} for it", bytes("root ")))
}

fn given_keys() -> String {
    format!("{KEY_MODES}{KEY}")
}

/// `identity.unique`: two machines of one image share nothing that tells machines apart.
pub fn unique<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let direct = travellers.life.direct(bench)?.traits.clone();
    let first = &travellers.life.first(bench)?.traits;
    let shared = first.shared_with(&direct);
    let problems =
        shared.iter().map(|name| format!("two machines have the same {name}: `{}`", first.get(name)));
    Ok(Findings::with(format!("{} traits of two machines", first.len()), problems))
}

/// `provision.reset`: a reset wipes the owner's state and provisions anew; the installed version stays.
pub fn reset<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    /// Two boots: the reset makes ROOT anew, which takes longer than finding it.
    const RESET: Duration = Duration::from_secs(40);
    let before = travellers.life.second(bench)?.1.clone();
    let day = travellers.life.traveller.step(|traveller| {
        let machine = traveller.same(bench)?;
        bench.phase("reset");
        machine.vm().restart_clock();
        machine.send("systemctl start factory-reset.target")?;
        let report = machine.next_boot_within(RESET)?;
        Day::of(bench, machine, report)
    })?;
    let mut findings = day.judge(bench);
    let same = before.traits.shared_with(&day.traits);
    findings.problems.extend(same.iter().map(|name| format!("the {name} survived the reset")));
    findings.expect_equal("the list of keys", day.provisioned.keys.as_str(), &given_keys());
    findings.expect_equal("the kernel images", day.state.entries.join(" "), before.state.entries.join(" "));
    let machine = travellers.life.traveller.same(bench)?;
    let [one, other] = KEPT;
    let left = machine.ask(&format!(
        "ls {one} {other} 2>/dev/null; ls /sys/firmware/efi/efivars | grep FactoryReset || true"
    ))?;
    findings.expect_equal("what is left of the owner's files, and of the request", left.as_str(), "");
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_leaves_room_on_its_disk_is_told() {
        let said = "disk 4294967296\nbefore 1600000000\nroot  2580000000\n";
        assert_eq!(not_grown(said), None);
        let small = not_grown(&said.replace("2580000000", "500000000")).unwrap();
        assert_eq!(small, "ROOT has 500000000 bytes, the disk has 2694967296 for it");
        assert!(not_grown("").is_some());
    }

    #[test]
    fn what_belongs_to_a_first_boot_is_told_when_a_second_does_it() {
        let good =
            "boxcar-sshd-keygen.service no\nboxcar-disk-id.service no\nfirst-boot inactive\nformatted 0\n";
        assert_eq!(judge_again(good), [""; 0]);
        let bad =
            good.replace("keygen.service no", "keygen.service yes").replace("formatted 0", "formatted 2");
        assert_eq!(
            judge_again(&bad),
            [
                "`boxcar-sshd-keygen.service` ran again",
                "2 lines of the journal tell of a first boot, or of a new file system"
            ]
        );
        assert_eq!(judge_again("first-boot active").len(), 1);
    }
}
