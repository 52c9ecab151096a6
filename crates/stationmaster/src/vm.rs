//! `stationmaster vm`: one virtual machine for a person, with its console on the terminal.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use sm_host::{
    files::read_text,
    process::SystemRunner,
    progress::Unit,
    qemu::{Forward, WriteCache, programs::BaseFormat},
};
use sm_model::{Arch, ArtifactKind};
use sm_pipeline::table::seconds;
use sm_vmtest::{
    Access, BootReport, Vm, VmPlan,
    vm::{Screen, Start, VmHost},
};

use crate::{
    context::{Context, Outcome},
    named, workshop,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster vm releases/alpha/amd64-usr/current
      Boot a release, with its console here: Ctrl-A X ends the machine,
      Ctrl-A C changes between the console and QEMU's monitor.
  stationmaster vm disk.qcow2 --ssh-key ~/.ssh/id_ed25519.pub
      Let yourself in by SSH too; the command is printed.
  stationmaster vm disk.qcow2 --persist my-vm
      Keep the disk in `my-vm`, and go on from it the next time.
  stationmaster vm disk.qcow2 --until-settled
      Boot it once, tell how that went and what it cost, and end it:
      status 8 when a unit failed.

The image is only read. The machine logs root in on its console; that comes
from outside, by a systemd credential, and is not in the image.";

/// Who is let in by SSH: root is not, in Boxcar.
const SSH_USER: &str = "core";

/// Largest file of a public key.
const MAX_SSH_KEY_BYTES: u64 = 64 << 10;

/// What a boot may take on a guest's own processor until nothing is left to start.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Boot an image or a release in a virtual machine.
///
/// Uses KVM where a guest really runs on it, and emulation elsewhere: then a
/// boot takes a minute or two.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A disk image (qcow2 or raw), or a release: its directory,
    /// CHANNEL/BOARD/VERSION below the root, or its version.
    image: PathBuf,
    /// Where releases lie.
    #[arg(long, value_name = "DIR", default_value = "releases")]
    root: PathBuf,
    /// Architecture of a bare image; a release says its own.
    #[arg(long, default_value_t = Arch::Amd64)]
    arch: Arch,
    /// Memory, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// Processors.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    cpus: u8,
    /// Size of the disk, in GiB; it takes space only as it is written to.
    #[arg(long, value_name = "GIB", default_value_t = 8, value_parser = clap::value_parser!(u32).range(4..=1024))]
    disk: u32,
    /// Where the console goes: `terminal`, or only to its `log`.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Console::Terminal)]
    console: Console,
    /// Public key file whose holder may log in as `core` by SSH.
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// The recipe whose tools hold QEMU.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    /// Folder to keep the machine's disk in; forgotten at its end otherwise.
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// End the machine once nothing is left to start, and tell how its boot
    /// went; the console goes only to its log.
    #[arg(long)]
    until_settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Console {
    /// On this terminal, both ways.
    Terminal,
    /// Only to `console.log` in the machine's folder.
    Log,
}

/// A started machine, for `--json`.
#[derive(serde::Serialize)]
struct Started {
    #[serde(serialize_with = "crate::context::path")]
    folder: PathBuf,
    ssh: Option<String>,
    accelerator: String,
}

/// Returns when the machine has ended.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let (arch, image, format) = bootable(args)?;
    let temporary = tempfile::tempdir().context("cannot make a folder for the machine")?;
    let dir = args.persist.clone().unwrap_or_else(|| temporary.path().to_owned());
    let port = free_port()?;
    let console = if args.until_settled { Console::Log } else { args.console };
    let plan = VmPlan {
        start: if args.persist.is_some() { Start::Resumed } else { Start::Fresh },
        cache: if args.persist.is_some() { WriteCache::KeepsFlushed } else { WriteCache::Volatile },
        disk_mib: args.disk * 1024,
        cpus: args.cpus,
        memory_mib: args.memory,
        access: if args.until_settled { access(args)?.with_shell() } else { access(args)? },
        forwards: vec![Forward { host: port, guest: 22 }],
        screen: match console {
            Console::Terminal => Screen::Terminal,
            Console::Log => Screen::Off,
        },
        ..VmPlan::new(arch, image, format, &dir)
    };
    let host = VmHost::find(&SystemRunner, workshop::qemu(&args.recipe, &args.mirror, ctx)?, arch)?;
    let started = Started {
        folder: dir,
        ssh: args.ssh_key.as_ref().map(|key| ssh_command(key, port)),
        accelerator: host.accelerator().to_string(),
    };
    if args.until_settled {
        return until_settled(Vm::start(&host, &plan)?, args, ctx);
    }
    announce(&started, args, ctx)?;
    Vm::start(&host, &plan)?.wait()?;
    Ok(Outcome::Done)
}

/// Lets the machine boot, tells how that went, and ends it: gently if its disk is kept.
fn until_settled(mut vm: Vm, args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let deadline = vm.pace().within(SETTLED_WITHIN);
    let task = ctx.progress.begin("boot", Unit::Waiting, None);
    let report = BootReport::of_next_boot(&mut vm, deadline, &mut |line| task.detail(line))?;
    drop(task);
    if args.persist.is_some() {
        vm.power_down()?;
    }
    if ctx.json {
        ctx.json_document(&report)?;
    } else {
        ctx.line(told(&report))?;
    }
    Ok(if report.is_healthy() { Outcome::Done } else { Outcome::Negative })
}

fn told(report: &BootReport) -> String {
    let failed = match report.failed_units.as_slice() {
        [] => "no unit failed".to_owned(),
        units => format!("failed: {}", units.join(", ")),
    };
    let (settled, shell) = (seconds(report.settled_millis), seconds(report.shell_millis));
    let (cpu, state) = (seconds(report.cpu_millis), &report.state);
    format!("{state} after {settled} (a shell after {shell}), {cpu} of processor time; {failed}")
}

fn bootable(args: &Args) -> anyhow::Result<(Arch, PathBuf, BaseFormat)> {
    if !args.image.is_file() {
        let release = named::open(&args.root, &args.image)?;
        let image = release.path_of(ArtifactKind::QemuImage)?;
        return Ok((release.manifest().board.0, image, BaseFormat::Qcow2));
    }
    let mut magic = [0; 4];
    let mut file =
        fs::File::open(&args.image).with_context(|| format!("cannot open `{}`", args.image.display()))?;
    std::io::Read::read_exact(&mut file, &mut magic)
        .with_context(|| format!("`{}` is no disk image", args.image.display()))?;
    Ok((args.arch, args.image.clone(), format_of(magic)))
}

/// A disk image's format by its first bytes (QEMU, docs/interop/qcow2: `QFI\xfb`).
fn format_of(magic: [u8; 4]) -> BaseFormat {
    if magic == *b"QFI\xfb" { BaseFormat::Qcow2 } else { BaseFormat::Raw }
}

fn access(args: &Args) -> anyhow::Result<Access> {
    let access = Access::none().with_console_login("root");
    let Some(path) = &args.ssh_key else { return Ok(access) };
    let key = read_text(path, MAX_SSH_KEY_BYTES)?;
    anyhow::ensure!(
        !key.contains("PRIVATE KEY"),
        "`{}` is a private key: expected the public one beside it, `{}.pub`",
        path.display(),
        path.display()
    );
    Ok(access.with_ssh_key(SSH_USER, &key))
}

/// A port that nobody listens on at the moment.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr().context("cannot find a free port")?.port())
}

fn ssh_command(key: &Path, port: u16) -> String {
    let identity = key.with_extension("");
    format!(
        "ssh -p {port} -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {SSH_USER}@127.0.0.1",
        identity.display()
    )
}

fn announce(started: &Started, args: &Args, ctx: &Context<'_>) -> anyhow::Result<()> {
    if ctx.json {
        return ctx.json_document(started);
    }
    ctx.progress.note(&format!(
        "runs by {}; its files are in `{}`",
        started.accelerator,
        started.folder.display()
    ));
    if let Some(ssh) = &started.ssh {
        ctx.line(ssh)?;
    }
    if args.console == Console::Terminal {
        ctx.progress.note("the console follows; Ctrl-A X ends the machine");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_by_its_first_bytes() {
        assert_eq!(format_of(*b"QFI\xfb"), BaseFormat::Qcow2);
        assert_eq!(format_of([0xfa, 0xb8, 0, 0]), BaseFormat::Raw);
    }

    #[test]
    fn how_a_boot_went_is_a_sentence() {
        let mut report = BootReport {
            shell_millis: 21_050,
            settled_millis: 33_960,
            cpu_millis: 46_400,
            idle_millis: 2_000,
            state: "running".to_owned(),
            failed_units: Vec::new(),
        };
        let sentence =
            "running after 33.9 s (a shell after 21.0 s), 46.4 s of processor time; no unit failed";
        assert_eq!(told(&report), sentence);
        report.failed_units = vec!["a.service".to_owned(), "b.mount".to_owned()];
        assert!(told(&report).ends_with("failed: a.service, b.mount"));
    }

    #[test]
    fn the_ssh_command_names_the_private_half() {
        let command = ssh_command("/home/a/.ssh/id_ed25519.pub".as_ref(), 2222);
        assert!(command.starts_with("ssh -p 2222 -i /home/a/.ssh/id_ed25519 "), "{command}");
    }
}
