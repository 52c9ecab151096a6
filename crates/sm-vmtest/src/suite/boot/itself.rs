//! The release under test updates itself: to releases that follow it, into either slot, and back from one that is not healthy.

use std::time::Duration;

use sm_model::{
    Version,
    report::{EventKind, EventResult},
};

use super::{
    successor::{Health, Maker},
    traits::Traits,
    updating::{self, FELL_BACK, Reboot},
};
use crate::{
    VmError,
    host_state::{HostState, Slot},
    suite::{
        bench::{Bench, Service},
        finding::{Findings, Looked, Stop},
        machine::{BOOT, COMMAND, Machine},
        release::Release,
    },
};

/// Boots that a machine may need until it has given a release up: the tries of its boot entry, and some that were cut short.
const MAX_BOOTS: u32 = 8;
/// Tries that a fresh boot entry has.
const TRIES: u32 = 3;
/// How long the tries may take that end in the initial RAM disk, and the boot of the version that is left.
const BACK: Duration = Duration::from_secs(60);
/// What the beginning of a damaged verity tree is: `veritysetup` knows its own by a magic number there.
const NOISE: (u8, u64) = (0x5a, 4096);
/// A file of the owner's, and what is in it.
const OWN: (&str, &str) = ("/etc/boxcar/mine", "kept");

/// `update.self`: the release's own agent installs what follows, and what follows installs what follows that, in the other slot.
pub fn itself(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut maker = Maker::new(bench)?;
    maker.check_trust(machine)?;
    let service = asked(bench, machine, Reboot::Itself)?;
    let mut findings = Findings::of("two updates");
    let mut before = HostState::of(machine.vm())?;
    let traits = Traits::of(machine)?;
    for nth in 1..=2 {
        let next = maker.make(nth, Health::Good)?;
        updating::install(bench, machine, &service, &next)?;
        let (_, state) = updating::comes_up(bench, machine, &service, &next)?;
        findings.require(state.slot == before.slot.other(), || {
            format!("{} is in slot {:?}, which ran", state.version, state.slot)
        });
        findings.notes.push(format!("{} runs from slot {:?}", state.version, state.slot));
        before = state;
    }
    findings.problems.extend(traits.changed_until(&Traits::of(machine)?));
    Ok(findings)
}

/// `update.rollback-auto`: a release that is not healthy, and then cannot even be found, is tried until its tries are spent, taken
/// back, told and left alone.
pub fn taken_back(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut maker = Maker::new(bench)?;
    maker.check_trust(machine)?;
    let bad = maker.make(1, Health::Unhealthy)?;
    drop(maker);
    let service = asked(bench, machine, Reboot::Itself)?;
    machine.ask(&format!("echo {} > {}; sync", OWN.1, OWN.0))?;
    let (before, traits) = (HostState::of(machine.vm())?, Traits::of(machine)?);
    updating::install(bench, machine, &service, &bad)?;
    let told = service.reports()?.len();
    bench.phase("fall back");
    let tries = boots_until_back(bench, machine, &bad, &before)?;
    bench.note(&format!("{} came to a shell {tries} times", bad.manifest().version));

    bench.phase("assert");
    let mut findings = Findings::of(format!("came back after {tries} shells of {}", bad.manifest().version));
    findings.require((1..=TRIES).contains(&tries), || format!("{tries} shells of it, expected 1 to {TRIES}"));
    let state = HostState::of(machine.vm())?;
    findings.require((state.slot, state.root_hash) == (before.slot, before.root_hash), || {
        format!("{} in slot {:?} runs, expected what ran before", state.root_hash, state.slot)
    });
    findings.problems.extend(traits.changed_until(&Traits::of(machine)?));
    findings.expect_equal(OWN.0, machine.ask(&format!("cat {}", OWN.0))?.as_str(), OWN.1);
    findings.problems.extend(reason(bench, &service, told)?);
    updating::is_left_alone(machine, &bad, &mut findings)?;
    Ok(findings)
}

/// The machine asks an update server of its own from now on, which has nothing newer yet.
fn asked(bench: &Bench<'_>, machine: &mut Machine<'_>, reboot: Reboot) -> Result<Service, Stop> {
    let service = bench.serve()?;
    service.offer(bench.release())?;
    updating::ask_at(machine, service.port(), reboot)?;
    Ok(service)
}

/// Watches boot after boot until what ran `before` runs again and is healthy; returns how many boots of `bad` came to a shell.
/// After the first of them its verity tree is damaged: the next ones end in the initial RAM disk.
fn boots_until_back(
    bench: &Bench<'_>,
    machine: &mut Machine<'_>,
    bad: &Release,
    before: &HostState,
) -> Result<u32, Stop> {
    let mut tries = 0;
    for _ in 0..MAX_BOOTS {
        machine.next_shell_within(BACK).map_err(|stop| still_there(stop, bad, tries))?;
        let running = running(machine)?;
        if running == Some(before.version) {
            let report = machine.present_boot()?;
            return match report.is_healthy() {
                true => Ok(tries),
                false => Err(Stop::Broken(format!("after the fall back, {}", report.in_words()))),
            };
        }
        if running == Some(bad.manifest().version) && tries == 0 {
            bench.phase("damage");
            damage(machine, before.slot.other())?;
            bench.phase("fall back");
        }
        tries += u32::from(running == Some(bad.manifest().version));
    }
    Err(Stop::Broken(format!("{} did not run again within {MAX_BOOTS} boots", before.version)))
}

/// A version that is not healthy and does not go, in words.
fn still_there(stop: Stop, bad: &Release, tries: u32) -> Stop {
    match stop {
        Stop::Late(seen) if tries > 0 => Stop::Late(format!(
            "{} is not healthy, came to a shell {tries} times, and no other boot followed: {seen}",
            bad.manifest().version
        )),
        stop => stop,
    }
}

/// Writes over the beginning of the verity tree of `slot`, behind the guest's back: what runs has read it already.
fn damage(machine: &mut Machine<'_>, slot: Slot) -> Result<(), Stop> {
    let number = match slot {
        Slot::A => 3,
        Slot::B => 5,
    };
    let deadline = machine.within(COMMAND);
    let start = format!("cat /sys/block/vda/vda{number}/start");
    let sectors = match machine.vm().guest().run_ok(&start, deadline) {
        // It found itself sick and reboots already: its next boot comes to a shell, too.
        Err(VmError::Rebooted { .. } | VmError::TimedOut { .. }) => return Ok(()),
        sectors => sectors?,
    };
    let sectors: u64 = sectors.trim().parse().map_err(|_| {
        Stop::Broken(format!("the machine does not tell where its partition {number} begins: `{sectors}`"))
    })?;
    let (byte, n_bytes) = NOISE;
    Ok(machine.vm().overwrite_disk(sectors * 512, byte, n_bytes)?)
}

/// The version that runs; none when the machine rebooted before it answered.
fn running(machine: &mut Machine<'_>) -> Result<Option<Version>, Stop> {
    let deadline = machine.within(COMMAND);
    let asked = machine.vm().guest().run_ok(". /usr/lib/os-release; echo \"$VERSION_ID\"", deadline);
    match asked {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(VmError::Rebooted { .. } | VmError::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with the reason that the machine told.
fn reason(bench: &Bench<'_>, service: &Service, from: usize) -> Result<Option<String>, Stop> {
    let told = updating::report(bench, service, "the failure is reported", (from, BOOT), |report| {
        report.kind == EventKind::UpdateComplete
            && report.result == EventResult::Error
            && report.error_code == Some(FELL_BACK)
    })?;
    let names_it = told.reason.as_deref().is_some_and(|reason| reason.contains("containerd.service"));
    Ok((!names_it)
        .then(|| format!("the report does not name the unit that failed: {}", updating::in_words(&told))))
}
