//! KVM where a guest really runs on it, else emulation.
//!
//! That `/dev/kvm` opens, and even that a machine can be created through it, proves nothing: nested and sandboxed hosts offer the
//! device and then run no instruction. So a guest of a few bytes is started, and only what it writes to its serial port counts.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sm_model::Arch;

use super::{Boot, Console, Machine, Memory, Network, Programs, QemuError, RunningMachine};
use crate::{
    files::{FileError, write_atomic},
    process::Runner,
};

/// How a guest's instructions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accelerator {
    /// On the processor itself.
    Kvm,
    /// Translated by QEMU (TCG): works everywhere, some ten times slower.
    Emulation,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accelerator::Kvm => "KVM",
            Accelerator::Emulation => "emulation (TCG)",
        })
    }
}

/// How long the trial guest may take. Where KVM works it needs a fraction of a second.
const TRIAL: Duration = Duration::from_secs(5);
/// What the trial guest writes.
const ANSWER: &[u8] = b"guest runs";

impl Accelerator {
    /// The fastest accelerator that runs a `guest` on this machine.
    ///
    /// # Errors
    /// When the trial itself cannot be made; a trial that fails is an answer.
    pub fn choose(runner: &dyn Runner, programs: &Programs, guest: Arch) -> Result<Self, QemuError> {
        let openable = || fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
        if programs.host() == guest && openable() && runs(runner, programs, guest, Accelerator::Kvm)? {
            Ok(Accelerator::Kvm)
        } else {
            Ok(Accelerator::Emulation)
        }
    }
}

/// Whether a guest of a few bytes runs with `accelerator` and is heard.
///
/// # Errors
/// When its files cannot be written or QEMU is missing.
pub fn runs(
    runner: &dyn Runner,
    programs: &Programs,
    guest: Arch,
    accelerator: Accelerator,
) -> Result<bool, QemuError> {
    let dir = tempfile::tempdir().map_err(FileError::io("make a directory in", &std::env::temp_dir()))?;
    let machine = trial_machine(dir.path(), guest, accelerator)?;
    let mut running = match RunningMachine::launch(runner, programs, &machine) {
        Ok(running) => running,
        Err(QemuError::Ended { .. } | QemuError::Connect { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let deadline = Instant::now() + TRIAL;
    while Instant::now() < deadline && running.is_running() {
        if heard(machine.console.log())? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    heard(machine.console.log())
}

fn heard(log: &Path) -> Result<bool, QemuError> {
    match fs::read(log) {
        Ok(said) => Ok(said.windows(ANSWER.len()).any(|window| window == ANSWER)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("read", log)(error).into()),
    }
}

fn trial_machine(dir: &Path, arch: Arch, accelerator: Accelerator) -> Result<Machine, QemuError> {
    let image: PathBuf = dir.join("trial.bin");
    write_atomic(&image, &trial_program(arch))?;
    Ok(Machine {
        arch,
        accelerator,
        cpus: 1,
        memory_mib: 64,
        memory: Memory::Own,
        boot: Boot::Raw(image),
        disks: Vec::new(),
        network: Network::Absent,
        credentials: Vec::new(),
        firmware_files: Vec::new(),
        ports: Vec::new(),
        console: Console::Log(dir.join("console.log")),
        monitor: dir.join("monitor.sock"),
        messages: dir.join("qemu.log"),
        resumed_from: None,
    })
}

/// A program that writes [`ANSWER`] to the first serial port and halts.
fn trial_program(arch: Arch) -> Vec<u8> {
    match arch {
        Arch::Amd64 => boot_sector(),
        Arch::Arm64 => arm_image(),
    }
}

/// The firmware reads from no disk that is smaller than a cylinder.
const SMALLEST_DISK_BYTES: usize = 1 << 20;

/// A disk with a PC boot sector: 16-bit code at the start, the boot signature in its last two bytes.
fn boot_sector() -> Vec<u8> {
    let mut code = vec![0xba, 0xf8, 0x03]; // mov dx, 0x3f8
    for &byte in ANSWER {
        code.extend([0xb0, byte, 0xee]); // mov al, byte; out dx, al
    }
    code.extend([0xfa, 0xf4, 0xeb, 0xfd]); // cli; hlt; jmp to hlt
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code.resize(SMALLEST_DISK_BYTES, 0);
    code
}

/// AArch64 code for QEMU's `virt` machine, whose first PL011 serial port is at 0x0900_0000.
fn arm_image() -> Vec<u8> {
    let mut code: Vec<u32> = vec![0xd2a1_2000]; // movz x0, #0x900, lsl #16
    for &byte in ANSWER {
        code.extend([0x5280_0001 | u32::from(byte) << 5, 0xb900_0001]); // movz w1, #byte; str w1, [x0]
    }
    code.extend([0xd503_207f, 0x17ff_ffff]); // wfi; b to wfi
    code.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_of_a_pc_is_a_bootable_sector_that_speaks() {
        let disk = boot_sector();
        assert_eq!(disk[..9], [0xba, 0xf8, 0x03, 0xb0, b'g', 0xee, 0xb0, b'u', 0xee]);
        assert_eq!(disk[510..512], [0x55, 0xaa]);
    }

    #[test]
    fn the_trial_of_an_arm_machine_ends_in_a_loop() {
        let image = arm_image();
        assert_eq!(image.len(), 4 * (3 + 2 * ANSWER.len()));
        assert_eq!(image[image.len() - 4..], 0x17ff_ffff_u32.to_le_bytes());
    }

    #[test]
    fn only_the_answer_counts_as_heard() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        assert!(!heard(&log).unwrap());
        fs::write(&log, b"KVM internal error while the guest ran").unwrap();
        assert!(!heard(&log).unwrap());
        fs::write(&log, b"\x1b[2JBooting\r\nguest runs").unwrap();
        assert!(heard(&log).unwrap());
    }
}
