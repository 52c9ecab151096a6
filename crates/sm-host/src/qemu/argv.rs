//! QEMU's command line for a machine: a pure function, so that tests pin what a machine is made of.
//!
//! Nothing is left to QEMU's defaults or configuration files, which differ between builds. The guest gets paravirtual devices
//! only, and neither a screen nor option ROMs, whose start-up would cost seconds under emulation.

use std::ffi::{OsStr, OsString};

use sm_model::Arch;

use super::{Accelerator, Boot, Console, Disk, Machine, Memory, Network, WriteCache, machine::PortEnd};

/// The arguments for `machine`, without the program's name and its data directories.
pub fn arguments(machine: &Machine) -> Vec<OsString> {
    let mut argv = Argv::default();
    argv.flag("-nodefaults").flag("-no-user-config");
    argv.pair("-display", "none");
    platform(&mut argv, machine);
    boot(&mut argv, machine);
    console(&mut argv, &machine.console);
    argv.props("-chardev", Props::of("socket").is("id", "monitor").listening(machine.monitor.as_os_str()));
    argv.props("-mon", Props::of("chardev=monitor").is("mode", "control"));
    argv.pair("-device", "virtio-rng-pci");
    if machine.arch == Arch::Amd64 {
        // An identity of each process: a guest that goes on in another one takes new random numbers at once (Linux,
        // drivers/virt/vmgenid.c). Without it, copies of a machine draw the same ones.
        argv.pair("-device", "vmgenid,guid=auto");
    }
    for (i, disk) in machine.disks.iter().enumerate() {
        attach_disk(&mut argv, i, disk, &machine.boot);
    }
    network(&mut argv, &machine.network);
    ports(&mut argv, machine);
    for credential in &machine.credentials {
        argv.props("-smbios", Props::of("type=11").is("value", credential.smbios_string()));
    }
    for file in &machine.firmware_files {
        argv.props("-fw_cfg", Props::default().is("name", &file.name).is("file", &file.path));
    }
    if machine.resumed_from.is_some() {
        // What may be left out of the state must be said before it is read.
        argv.pair("-incoming", "defer");
    }
    argv.0
}

fn platform(argv: &mut Argv, machine: &Machine) {
    let platform = memory(argv, machine, Props::of(platform_devices(machine)));
    argv.props("-machine", platform);
    let (accelerator, cpu) = match (machine.accelerator, machine.arch) {
        (Accelerator::Kvm, _) => ("kvm", "host"),
        // Every processor feature but those that only cost an emulator time: fifth-level page tables, a hypervisor in the guest (two
        // modules to load), protection keys and MPX (registers to save, and a TLB flush, at each switch of processes), instructions
        // for AES (seven modules, each with a signature to check).
        (Accelerator::Emulation, Arch::Amd64) => {
            ("tcg,thread=multi", "max,-la57,-svm,-pku,-mpx,-aes,-vaes,-pclmulqdq")
        }
        // Pointer authentication with its specified algorithm costs an emulator half its speed.
        (Accelerator::Emulation, Arch::Arm64) => ("tcg,thread=multi", "max,pauth-impdef=on"),
    };
    argv.pair("-accel", accelerator);
    argv.pair("-cpu", cpu);
    argv.pair("-smp", machine.cpus.to_string());
    argv.pair("-m", format!("{}M", machine.memory_mib));
}

/// Memory in a file is a device of its own, which the platform names.
fn memory(argv: &mut Argv, machine: &Machine, platform: Props) -> Props {
    let (file, is_shared) = match &machine.memory {
        Memory::Own => return platform,
        Memory::Kept(file) => (file, "on"),
        Memory::CopyOf(file) => (file, "off"),
    };
    let size = format!("{}M", machine.memory_mib);
    let backend = Props::of("memory-backend-file").is("id", "memory").is("size", size).is("mem-path", file);
    argv.props("-object", backend.is("share", is_shared));
    platform.is("memory-backend", "memory")
}

/// What an emulated PC's kernel must be told: its check of the timer interrupt counts ticks against a processor that a busy host
/// stops at will, and panics when they do not come.
const NO_TIMER_CHECK: &str = "no_timer_check";

/// The platform without the devices that it would bring along. An emulated PC keeps its HPET: without one, Linux measures the time
/// stamp counter against ticks that came late, finds it unstable, and asks the ACPI timer for the time, which is slow.
const fn platform_devices(machine: &Machine) -> &'static str {
    match (machine.arch, machine.accelerator) {
        (Arch::Amd64, Accelerator::Kvm) => "q35,smm=off,vmport=off,hpet=off,graphics=off,sata=off,smbus=off",
        (Arch::Amd64, Accelerator::Emulation) => {
            "q35,smm=off,vmport=off,hpet=on,graphics=off,sata=off,smbus=off,i8042=off"
        }
        (Arch::Arm64, _) => "virt,gic-version=max",
    }
}

fn boot(argv: &mut Argv, machine: &Machine) {
    let is_emulated_pc = machine.arch == Arch::Amd64 && machine.accelerator == Accelerator::Emulation;
    match &machine.boot {
        Boot::Uefi { code, variables } => {
            let flash = |unit| Props::of("if=pflash").is("unit", unit).is("format", "raw");
            argv.props("-drive", flash("0").is("readonly", "on").is("file", code));
            argv.props("-drive", flash("1").is("file", variables));
            if is_emulated_pc {
                // systemd-stub(7), "SMBIOS Type 11 Strings".
                let told = format!("io.systemd.stub.kernel-cmdline-extra={NO_TIMER_CHECK}");
                argv.props("-smbios", Props::of("type=11").is("value", told));
            }
        }
        Boot::Kernel { kernel, initrd, command_line } => {
            argv.pair("-kernel", kernel);
            argv.pair("-initrd", initrd);
            let told = if is_emulated_pc { NO_TIMER_CHECK } else { "" };
            argv.pair("-append", format!("{command_line} {told}").trim_end());
        }
        Boot::Raw(image) if machine.arch == Arch::Arm64 => argv.pair("-kernel", image),
        Boot::Raw(image) => {
            let drive = Props::of("if=none").is("id", "raw").is("format", "raw").is("readonly", "on");
            argv.props("-drive", drive.is("file", image));
            argv.pair("-device", "virtio-blk-pci,drive=raw,bootindex=0");
        }
    }
}

fn console(argv: &mut Argv, console: &Console) {
    match console {
        Console::Log(path) => {
            argv.props("-chardev", Props::of("file").is("id", "console").is("path", path).is("append", "on"));
        }
        Console::Terminal(path) => {
            let stdio = Props::of("stdio").is("id", "console").is("mux", "on").is("signal", "off");
            argv.props("-chardev", stdio.is("logfile", path).is("logappend", "on"));
            argv.pair("-mon", "chardev=console,mode=readline");
        }
    }
    argv.pair("-serial", "chardev:console");
}

/// Firmware tries disks in their order; where QEMU loads the kernel itself, that comes first and has no rival.
fn attach_disk(argv: &mut Argv, i: usize, disk: &Disk, boot: &Boot) {
    let cache = match disk.cache {
        WriteCache::KeepsFlushed => "writeback",
        WriteCache::Volatile => "unsafe",
    };
    let drive = Props::of("if=none").is("id", format!("disk{i}")).is("format", "qcow2").is("cache", cache);
    argv.props("-drive", drive.is("discard", "unmap").is("file", &disk.qcow2));
    let order = if matches!(boot, Boot::Uefi { .. }) { format!(",bootindex={i}") } else { String::new() };
    argv.pair("-device", format!("virtio-blk-pci,drive=disk{i}{order}"));
}

fn network(argv: &mut Argv, network: &Network) {
    let Network::User(forwards) = network else { return };
    let mut user = Props::of("user").is("id", "net");
    for forward in forwards {
        user = user.is("hostfwd", format!("tcp:127.0.0.1:{}-:{}", forward.host, forward.guest));
    }
    argv.props("-netdev", user);
    argv.pair("-device", "virtio-net-pci,netdev=net,romfile=");
}

fn ports(argv: &mut Argv, machine: &Machine) {
    if machine.ports.is_empty() {
        return;
    }
    argv.pair("-device", "virtio-serial-pci");
    for (i, port) in machine.ports.iter().enumerate() {
        let id = format!("port{i}");
        let end = match &port.end {
            PortEnd::Socket(path) => Props::of("socket").is("id", &id).listening(path.as_os_str()),
            PortEnd::Log(path) => Props::of("file").is("id", &id).is("path", path).is("append", "on"),
        };
        argv.props("-chardev", end);
        argv.props("-device", Props::of("virtserialport").is("chardev", &id).is("name", &port.name));
    }
}

#[derive(Default)]
struct Argv(Vec<OsString>);

impl Argv {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn pair(&mut self, flag: &str, value: impl AsRef<OsStr>) {
        self.0.extend([flag.into(), value.as_ref().to_owned()]);
    }

    fn props(&mut self, flag: &str, props: Props) {
        self.pair(flag, props.0);
    }
}

/// QEMU's `key=value,…` lists. A comma inside a value is written twice.
#[derive(Default)]
struct Props(OsString);

impl Props {
    /// A list that starts with `first`, which is taken as it is.
    fn of(first: &str) -> Self {
        Props(first.into())
    }

    fn is(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        if !self.0.is_empty() {
            self.0.push(",");
        }
        self.0.push(key);
        self.0.push("=");
        self.0.push(double_commas(value.as_ref()));
        self
    }

    fn listening(self, socket: &OsStr) -> Self {
        self.is("path", socket).is("server", "on").is("wait", "off")
    }
}

fn double_commas(value: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let doubled =
        value.as_bytes().iter().flat_map(|&b| std::iter::repeat_n(b, if b == b',' { 2 } else { 1 }));
    OsString::from_vec(doubled.collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Credential, FirmwareFile, Forward, GuestPort};
    use super::*;

    fn machine(arch: Arch, accelerator: Accelerator) -> Machine {
        Machine {
            arch,
            accelerator,
            cpus: 2,
            memory_mib: 2048,
            memory: Memory::Own,
            boot: Boot::Uefi { code: "/fw/code.fd".into(), variables: "/run/vars.fd".into() },
            disks: vec![Disk { qcow2: "/run/disk.qcow2".into(), cache: WriteCache::KeepsFlushed }],
            network: Network::User(vec![Forward { host: 2222, guest: 22 }]),
            credentials: vec![Credential::new("system.hostname", "a").unwrap()],
            firmware_files: Vec::new(),
            ports: vec![GuestPort {
                name: "org.stationmaster.guest".into(),
                end: PortEnd::Socket("/run/guest.sock".into()),
            }],
            console: Console::Log("/run/console.log".into()),
            monitor: "/run/monitor.sock".into(),
            messages: "/run/qemu.log".into(),
            resumed_from: None,
        }
    }

    fn text(machine: &Machine) -> String {
        let mut text = String::new();
        for argument in arguments(machine) {
            let argument = argument.into_string().unwrap();
            text.push(if argument.starts_with('-') { '\n' } else { ' ' });
            text.push_str(&argument);
        }
        text
    }

    #[test]
    fn an_emulated_pc_has_exactly_these_devices() {
        assert_eq!(
            text(&machine(Arch::Amd64, Accelerator::Emulation)),
            "
-nodefaults
-no-user-config
-display none
-machine q35,smm=off,vmport=off,hpet=on,graphics=off,sata=off,smbus=off,i8042=off
-accel tcg,thread=multi
-cpu max,-la57,-svm,-pku,-mpx,-aes,-vaes,-pclmulqdq
-smp 2
-m 2048M
-drive if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd
-drive if=pflash,unit=1,format=raw,file=/run/vars.fd
-smbios type=11,value=io.systemd.stub.kernel-cmdline-extra=no_timer_check
-chardev file,id=console,path=/run/console.log,append=on
-serial chardev:console
-chardev socket,id=monitor,path=/run/monitor.sock,server=on,wait=off
-mon chardev=monitor,mode=control
-device virtio-rng-pci
-device vmgenid,guid=auto
-drive if=none,id=disk0,format=qcow2,cache=writeback,discard=unmap,file=/run/disk.qcow2
-device virtio-blk-pci,drive=disk0,bootindex=0
-netdev user,id=net,hostfwd=tcp:127.0.0.1:2222-:22
-device virtio-net-pci,netdev=net,romfile=
-device virtio-serial-pci
-chardev socket,id=port0,path=/run/guest.sock,server=on,wait=off
-device virtserialport,chardev=port0,name=org.stationmaster.guest
-smbios type=11,value=io.systemd.credential.binary:system.hostname=YQ=="
        );
    }

    #[test]
    fn architecture_and_accelerator_choose_platform_and_cpu() {
        let arm = text(&machine(Arch::Arm64, Accelerator::Emulation));
        assert!(
            arm.contains("-machine virt,gic-version=max\n-accel tcg,thread=multi\n-cpu max,pauth-impdef=on")
        );
        let kvm = text(&machine(Arch::Amd64, Accelerator::Kvm));
        assert!(kvm.contains("hpet=off") && kvm.contains("-accel kvm\n-cpu host\n"));
    }

    #[test]
    fn a_terminal_console_is_kept_in_a_file_too() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.console = Console::Terminal("/run/console.log".into());
        let console = "-chardev stdio,id=console,mux=on,signal=off,logfile=/run/console.log,logappend=on";
        assert!(text(&machine).contains(console));
    }

    #[test]
    fn a_comma_in_a_path_ends_no_option() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.firmware_files =
            vec![FirmwareFile { name: "opt/x".into(), path: "/a,file=/etc/shadow".into() }];
        assert!(text(&machine).ends_with("-fw_cfg name=opt/x,file=/a,,file=/etc/shadow"));
    }

    #[test]
    fn a_disk_that_nobody_looks_at_later_ignores_flushes() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.disks = vec![Disk { qcow2: "d".into(), cache: WriteCache::Volatile }];
        assert!(text(&machine).contains("cache=unsafe"));
    }

    #[test]
    fn further_disks_are_booted_from_only_after_the_first() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.disks.push(Disk { qcow2: "/run/b.qcow2".into(), cache: WriteCache::Volatile });
        let text = text(&machine);
        assert!(text.contains("-device virtio-blk-pci,drive=disk0,bootindex=0\n-drive if=none,id=disk1,"));
        assert!(text.contains("-device virtio-blk-pci,drive=disk1,bootindex=1\n"));
    }

    #[test]
    fn a_resumed_machine_is_the_same_but_for_its_memory_which_it_copies() {
        let with = |memory| Machine { memory, ..machine(Arch::Amd64, Accelerator::Emulation) };
        let saved = text(&with(Memory::Kept("/run/memory".into())));
        assert!(
            saved.contains("-object memory-backend-file,id=memory,size=2048M,mem-path=/run/memory,share=on")
        );
        assert!(saved.contains(",i8042=off,memory-backend=memory\n"), "{saved}");
        let copy = with(Memory::CopyOf("/run/memory".into()));
        let copy = Machine { resumed_from: Some("/run/state".into()), ..copy };
        let expected = format!("{}\n-incoming defer", saved.replace("share=on", "share=off"));
        assert_eq!(text(&copy), expected);
    }

    #[test]
    fn a_port_may_end_in_a_file() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.ports[0].end = PortEnd::Log("/run/journal.log".into());
        let file =
            "-chardev file,id=port0,path=/run/journal.log,append=on\n-device virtserialport,chardev=port0";
        assert!(text(&machine).contains(file));
    }

    #[test]
    fn a_kernel_is_started_without_firmware() {
        let mut machine = machine(Arch::Amd64, Accelerator::Emulation);
        machine.boot = Boot::Kernel {
            kernel: "/k".into(),
            initrd: "/i".into(),
            command_line: "console=ttyS0 a=b".into(),
        };
        let text = text(&machine);
        assert!(text.contains("-kernel /k\n-initrd /i\n-append console=ttyS0 a=b"));
        assert!(!text.contains("pflash"));
    }
}
