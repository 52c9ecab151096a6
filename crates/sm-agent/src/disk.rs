//! The disk that the host runs from, opened so that only its passive slot and its partition table can be written.
//!
//! Partitions are windows on the whole disk: one way of access for block devices and for the image files of tests. A window
//! refuses to reach past its end, so no size in a payload can make a write leave the slot.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise};
use sm_host::files::read_limited;
use sm_image::gpt::{Durable, OnDisk};

use crate::{Error, fault::Fuse, paths::Root};

/// The name under which the verified /usr is mapped.
const USR_MAPPING: &str = "usr";

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    node: PathBuf,
    fuse: Fuse,
}

/// The disk that holds the running /usr, and the numbers of the partitions it is made of.
#[derive(Debug, Clone)]
pub struct RunningUsr {
    /// The disk.
    pub disk: Disk,
    /// Data and tree, in no particular order.
    pub partitions: Vec<u32>,
}

impl Disk {
    /// A disk by its node, a block device or an image file.
    pub fn at(node: impl Into<PathBuf>, fuse: Fuse) -> Self {
        Disk { node: node.into(), fuse }
    }

    /// Its node.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Reads the partition table.
    ///
    /// # Errors
    /// When the disk cannot be read or has no valid table.
    pub fn table(&self) -> Result<OnDisk, Error> {
        let mut disk = self.open(Access::Read)?;
        let len = disk.len();
        OnDisk::read(&mut disk, len).map_err(|error| self.table_error("read", error))
    }

    /// Opens the whole disk to exchange its partition table.
    pub(crate) fn open_table(&self) -> Result<Window, Error> {
        self.open(Access::Write)
    }

    /// Opens a part of the disk.
    pub(crate) fn open_range(&self, range: Range<u64>, access: Access) -> Result<Window, Error> {
        Ok(Window { range, ..self.open(access)? })
    }

    fn open(&self, access: Access) -> Result<Window, Error> {
        let failed = || Error::system(format!("open `{}`", self.node.display()));
        let mut file =
            OpenOptions::new().read(true).write(access == Access::Write).open(&self.node).map_err(failed())?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed())?;
        Ok(Window { file, range: 0..len, at: 0, fuse: self.fuse.clone() })
    }

    pub(crate) fn table_error(&self, action: &str, error: sm_image::gpt::Error) -> Error {
        let action = format!("{action} the partition table of `{}`", self.node.display());
        Error::System { action, source: io::Error::other(error) }
    }
}

impl RunningUsr {
    /// Finds the disk through the mapping that /usr is mounted from.
    ///
    /// # Errors
    /// When there is no such mapping, or it does not lie on partitions of one disk.
    pub fn find(root: &Root, fuse: Fuse) -> Result<Self, Error> {
        let devices = root.block_devices();
        let mapping = names_in(&devices)?
            .into_iter()
            .filter(|name| name.starts_with("dm-"))
            .find(|name| text(&devices.join(name).join("dm/name")).as_deref() == Some(USR_MAPPING))
            .ok_or_else(|| unusable("no device mapping is named `usr`"))?;
        let mut parts = Vec::new();
        for name in names_in(&devices.join(mapping).join("slaves"))? {
            parts.push(disk_and_number(&devices, &name)?);
        }
        let (disk, _) = parts.first().ok_or_else(|| unusable("the mapping `usr` lies on no partition"))?;
        if parts.iter().any(|(other, _)| other != disk) {
            return Err(unusable("the mapping `usr` lies on several disks"));
        }
        let disk = Disk::at(root.device_node(disk), fuse);
        Ok(RunningUsr { disk, partitions: parts.into_iter().map(|(_, number)| number).collect() })
    }
}

/// The disk of a partition, and the partition's number.
fn disk_and_number(devices: &Path, partition: &str) -> Result<(String, u32), Error> {
    let dir = devices.join(partition);
    let number = text(&dir.join("partition"))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| unusable(format!("`{partition}` is no partition")))?;
    let real = dir.canonicalize().map_err(Error::system(format!("look at `{}`", dir.display())))?;
    let disk = real.parent().and_then(|disk| disk.file_name()?.to_str().map(str::to_owned));
    Ok((disk.ok_or_else(|| unusable(format!("`{partition}` is on no disk")))?, number))
}

pub(crate) fn unusable(reason: impl Into<String>) -> Error {
    Error::Slots { reason: reason.into() }
}

fn names_in(dir: &Path) -> Result<Vec<String>, Error> {
    let failed = || Error::system(format!("list `{}`", dir.display()));
    let entries = std::fs::read_dir(dir).map_err(failed())?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<Result<_, _>>().map_err(failed())?;
    names.sort();
    Ok(names)
}

fn text(path: &Path) -> Option<String> {
    let bytes = read_limited(path, 4096).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// What a window is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A part of a disk, as a stream of its own.
#[derive(Debug)]
pub(crate) struct Window {
    file: File,
    range: Range<u64>,
    at: u64,
    fuse: Fuse,
}

impl Window {
    /// Its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Makes further reads come from the medium: what was written is flushed and forgotten.
    pub(crate) fn forget_cached(&mut self) -> io::Result<()> {
        self.make_durable()?;
        let len = std::num::NonZeroU64::new(self.len());
        Ok(fadvise(&self.file, self.range.start, len, Advice::DontNeed)?)
    }

    fn enter(&mut self, wanted: usize) -> io::Result<usize> {
        let left = usize::try_from(self.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.file.seek(SeekFrom::Start(self.range.start + self.at))?;
        Ok(wanted.min(left))
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.enter(buffer.len())?;
        let n = self.file.read(&mut buffer[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fuse.burn_io()?;
        let n = self.enter(bytes.len())?;
        if n == 0 && !bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the end of the partition is reached"));
        }
        let n = self.file.write(&bytes[..n])?;
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek outside of the partition");
        self.at = at.filter(|at| *at <= self.len()).ok_or_else(outside)?;
        Ok(self.at)
    }
}

impl Durable for Window {
    fn make_durable(&mut self) -> io::Result<()> {
        self.fuse.burn_io()?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_never_reaches_past_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, [0_u8; 100]).unwrap();
        let disk = Disk::at(&path, Fuse::solid());
        let mut window = disk.open_range(40..60, Access::Write).unwrap();
        window.seek(SeekFrom::Start(15)).unwrap();
        assert_eq!(window.write(&[1; 10]).unwrap(), 5);
        assert_eq!(window.write(&[1; 10]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(window.seek(SeekFrom::Start(21)).is_err());
        assert!(window.seek(SeekFrom::End(-21)).is_err());
        let bytes = std::fs::read(&path).unwrap();
        let touched: Vec<_> = (0..100).filter(|at| bytes[*at] == 1).collect();
        assert_eq!(touched, [55, 56, 57, 58, 59]);
        window.seek(SeekFrom::Start(10)).unwrap();
        let mut rest = Vec::new();
        window.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    }

    /// A sysfs as the kernel makes it: partitions are directories inside their disk's, and links name them all.
    pub(crate) fn fake_sysfs(root: &Path, slaves: &[(&str, &str, u32)]) {
        let class = root.join("sys/class/block");
        std::fs::create_dir_all(&class).unwrap();
        let dm = class.join("dm-0");
        std::fs::create_dir_all(dm.join("dm")).unwrap();
        std::fs::create_dir_all(dm.join("slaves")).unwrap();
        std::fs::write(dm.join("dm/name"), "usr\n").unwrap();
        for (disk, partition, number) in slaves {
            let real = root.join("sys/devices/pci0/block").join(disk).join(partition);
            std::fs::create_dir_all(&real).unwrap();
            std::fs::write(real.join("partition"), format!("{number}\n")).unwrap();
            std::os::unix::fs::symlink(&real, class.join(partition)).unwrap();
            std::os::unix::fs::symlink(&real, dm.join("slaves").join(partition)).unwrap();
        }
    }

    #[test]
    fn the_disk_is_found_through_the_mapping_of_usr() {
        let dir = tempfile::tempdir().unwrap();
        fake_sysfs(dir.path(), &[("nvme0n1", "nvme0n1p2", 2), ("nvme0n1", "nvme0n1p3", 3)]);
        let usr = RunningUsr::find(&Root::at(dir.path()), Fuse::solid()).unwrap();
        assert_eq!(usr.disk.node(), dir.path().join("dev/nvme0n1"));
        assert_eq!(usr.partitions, [2, 3]);
    }

    #[test]
    fn other_layouts_are_refused_in_words() {
        for slaves in [&[][..], &[("vda", "vda2", 2), ("vdb", "vdb3", 3)]] {
            let dir = tempfile::tempdir().unwrap();
            fake_sysfs(dir.path(), slaves);
            let error = RunningUsr::find(&Root::at(dir.path()), Fuse::solid()).unwrap_err();
            assert!(matches!(error, Error::Slots { .. }), "{error}");
        }
    }
}
