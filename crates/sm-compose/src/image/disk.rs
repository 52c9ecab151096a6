//! The whole disk: EFI system partition, slot A filled, slot B empty, and room where the first boot makes ROOT.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::PathBuf,
};

use sm_host::files::FileError;
use sm_image::{
    Guid,
    boot_entry::BootEntry,
    esp,
    gpt::{Attributes, Label, NewPartition, Partition, Table, kinds},
    qcow2::{self, Compression},
    verity::{self, RootHash, Superblock},
};

use super::{
    ComposeError, Inputs,
    usr::{UsrImage, derived_guid},
};
use crate::{fixups::BootFiles, recipe::Disk};

const MIB: u64 = 1 << 20;
/// Numbers of the partitions on disk.
const ESP: u32 = 1;
const USR_A: u32 = 2;
const USR_A_VERITY: u32 = 3;
/// No menu, no editor: a machine without a person in front of it.
const LOADER_CONF: &str = "timeout 0\neditor no\n";

/// A disk that grows as it is written.
pub(super) struct NewDisk<'a> {
    inputs: &'a Inputs<'a>,
    path: PathBuf,
    file: File,
    /// Size of all partitions, ROOT not among them.
    size_bytes: u64,
}

impl<'a> NewDisk<'a> {
    /// An empty, sparse disk in the work directory.
    pub(super) fn create(inputs: &'a Inputs<'a>) -> Result<Self, ComposeError> {
        let path = inputs.work.join("disk.raw");
        let disk = &inputs.plan.target.disk;
        let size_bytes = disk_bytes(disk);
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(FileError::io("create", &path))?;
        file.set_len(size_bytes).map_err(FileError::io("size", &path))?;
        Ok(NewDisk { inputs, path, file, size_bytes })
    }

    /// Copies the /usr image into slot A and writes its verity tree; returns the root hash.
    pub(super) fn write_usr(&mut self, usr: &UsrImage) -> Result<RootHash, ComposeError> {
        let disk = &self.inputs.plan.target.disk;
        let layout = Table::lay_out(Guid::NIL, self.size_bytes, &partitions(self.inputs, None)?)?;
        check_fits("the /usr image", usr.size_bytes, mib(disk.usr_mib), "usr-mib")?;
        let tree_bytes = verity::tree_bytes(usr.size_bytes);
        check_fits("the verity tree of /usr", tree_bytes, mib(disk.verity_mib), "verity-mib")?;

        let mut source = File::open(&usr.path).map_err(FileError::io("open", &usr.path))?;
        let to = start_of(&layout, USR_A);
        copy_sparse(&mut source, &mut self.file, to).map_err(FileError::io("write", &self.path))?;
        source.seek(SeekFrom::Start(0)).map_err(FileError::io("read", &usr.path))?;
        let superblock = Superblock::of_image(usr.size_bytes, &usr.sha256)?;
        let mut tree = Shifted { file: &mut self.file, start: start_of(&layout, USR_A_VERITY) };
        Ok(verity::format(&mut BufReader::with_capacity(1 << 20, source), &superblock, &mut tree)?)
    }

    /// Writes the partition table, which carries the root hash, and the EFI system partition.
    pub(super) fn write_boot(
        mut self,
        boot: &BootFiles,
        uki: &[u8],
        root_hash: RootHash,
    ) -> Result<Disks, ComposeError> {
        let identity = derived_guid(&format!("disk {root_hash}"));
        let table = Table::lay_out(identity, self.size_bytes, &partitions(self.inputs, Some(root_hash))?)?;
        table.write_new(&mut self.file)?;
        let plan = self.inputs.plan;
        let efi = plan.target.arch.efi();
        let range = table.partition(ESP).map(Partition::byte_range).unwrap_or_default();
        let id = root_hash.digest().as_bytes()[..4].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let volume = esp::Volume { range, id, label: "ESP".to_owned() };
        let uki_path = format!("EFI/Linux/{}", BootEntry::fresh(&plan.os.id, plan.version)?);
        let files = vec![
            esp::File::new(format!("EFI/BOOT/BOOT{}.EFI", efi.to_uppercase()), &boot.loader[..]),
            esp::File::new(format!("EFI/systemd/systemd-boot{efi}.efi"), &boot.loader[..]),
            esp::File::new("loader/loader.conf", LOADER_CONF.as_bytes()),
            esp::File::new(uki_path, uki),
        ];
        esp::write(&mut self.file, &volume, files)?;
        let qcow2 = self.write_qcow2()?;
        Ok(Disks { raw: self.path, qcow2 })
    }

    /// The same disk once more, for QEMU.
    fn write_qcow2(&mut self) -> Result<PathBuf, ComposeError> {
        let path = self.inputs.work.join("disk.qcow2");
        let mut to = File::create_new(&path).map_err(FileError::io("create", &path))?;
        let extents = data_extents(&self.file, self.size_bytes).map_err(FileError::io("read", &self.path))?;
        qcow2::write(&mut self.file, self.size_bytes, &extents, Compression::None, &mut to)?;
        Ok(path)
    }
}

/// One disk in two formats.
pub(super) struct Disks {
    pub(super) raw: PathBuf,
    pub(super) qcow2: PathBuf,
}

/// Where a sparse file holds data (lseek(2), `SEEK_DATA`). The ranges may hold zeros; what is outside them is zeros.
fn data_extents(file: &File, size_bytes: u64) -> io::Result<Vec<Range<u64>>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size_bytes {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start))?.min(size_bytes);
        extents.push(start..end);
        at = end;
    }
    Ok(extents)
}

/// Size of the disk as shipped: the first boot makes ROOT in what follows, on a disk of at least `root-mib` more.
fn disk_bytes(disk: &Disk) -> u64 {
    let slots = 2 * (mib(disk.usr_mib) + mib(disk.verity_mib));
    2 * MIB + mib(disk.esp_mib) + slots + mib(disk.root_mib)
}

fn mib(n: u32) -> u64 {
    u64::from(n) * MIB
}

/// The partitions in order. Without a root hash, only their sizes mean something.
fn partitions(inputs: &Inputs<'_>, root_hash: Option<RootHash>) -> Result<Vec<NewPartition>, ComposeError> {
    let plan = inputs.plan;
    let (arch, disk) = (plan.target.arch, &plan.target.disk);
    let name = format!("{}_{}", plan.os.id, plan.version);
    let seed = root_hash.map_or_else(String::new, |hash| hash.to_string());
    let (data, tree) = match root_hash {
        Some(hash) => (hash.data_guid(), hash.tree_guid()),
        None => (derived_guid("data"), derived_guid("tree")),
    };
    let derived = |what: &str| derived_guid(&format!("{what} {seed}"));
    let (usr, usr_verity) = (kinds::usr(arch), kinds::usr_verity(arch));
    let (flags, none) = (Attributes::READ_ONLY, Attributes::default());
    [
        ("ESP".to_owned(), kinds::ESP, derived("esp"), none, disk.esp_mib),
        (name.clone(), usr, data, flags, disk.usr_mib),
        (format!("{name}_v"), usr_verity, tree, flags, disk.verity_mib),
        ("_empty".to_owned(), usr, derived("usr-b"), flags, disk.usr_mib),
        ("_empty_v".to_owned(), usr_verity, derived("usr-b-verity"), flags, disk.verity_mib),
    ]
    .into_iter()
    .map(|(label, kind, guid, attributes, size_mib)| {
        let label: Label = label.parse()?;
        Ok(NewPartition { kind, guid, label, attributes, size_bytes: mib(size_mib) })
    })
    .collect()
}

fn start_of(table: &Table, number: u32) -> u64 {
    table.partition(number).map_or(0, |partition| partition.byte_range().start)
}

fn check_fits(
    what: &'static str,
    size_bytes: u64,
    capacity_bytes: u64,
    key: &'static str,
) -> Result<(), ComposeError> {
    if size_bytes <= capacity_bytes {
        Ok(())
    } else {
        Err(ComposeError::TooLarge { what, size_bytes, capacity_bytes, key })
    }
}

/// Copies everything to a place that reads as zeros; blocks of zeros stay holes.
pub(super) fn copy_sparse(from: &mut impl Read, to: &mut File, start: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut at = start;
    loop {
        let n_read = from.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(());
        }
        if buffer[..n_read].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(&buffer[..n_read])?;
        }
        at += n_read as u64;
    }
}

/// A file whose beginning lies further on.
struct Shifted<'a> {
    file: &'a mut File,
    start: u64,
}

impl Write for Shifted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Shifted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => SeekFrom::Start(self.start + position),
            relative => relative,
        };
        self.file.seek(to).map(|position| position.saturating_sub(self.start))
    }
}
