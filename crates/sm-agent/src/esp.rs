//! The kernel images that the boot loader finds on the EFI system partition: listed, removed, installed.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use sm_host::files::{self, AtomicFile};
use sm_image::{boot_entry::BootEntry as Entry, uki::Image, verity::RootHash};
use sm_model::Version;
use sm_rollout::agent::{BootEntry, Tries};

use crate::{Error, fault::Fuse, paths::Root};

/// Room that is left free on the EFI system partition, in bytes: the boot loader keeps a random seed there.
const MARGIN_BYTES: u64 = 1 << 20;

/// The directory of kernel images.
#[derive(Debug, Clone)]
pub struct KernelImages {
    dir: PathBuf,
    os: String,
    fuse: Fuse,
}

impl KernelImages {
    /// The kernel images of one operating system on a host.
    pub fn of(root: &Root, os: &str, fuse: Fuse) -> Self {
        KernelImages { dir: root.kernel_images(), os: os.to_owned(), fuse }
    }

    /// Every kernel image of this operating system. Foreign files are none of our business.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        let mut found: Vec<Entry> = self
            .names()?
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(|entry: &Entry| entry.os() == self.os)
            .collect();
        found.sort_by(Entry::preference);
        Ok(found)
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let failed = || Error::system(format!("list the kernel images in `{}`", self.dir.display()));
        let entries = std::fs::read_dir(&self.dir).map_err(failed())?;
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()
            .map_err(failed())
    }

    /// The same as facts for decisions.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn facts(&self) -> Result<Vec<BootEntry>, Error> {
        let tries = |entry: &Entry| match entry.tries() {
            None => Tries::Good,
            Some(_) if entry.is_spent() => Tries::Spent,
            Some(tries) if tries.done == 0 => Tries::Fresh(tries.left),
            Some(tries) => Tries::Left(tries.left),
        };
        Ok(self
            .list()?
            .iter()
            .map(|entry| BootEntry { version: entry.version(), tries: tries(entry) })
            .collect())
    }

    /// Removes the kernel images of one version, durably.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(&self, version: Version) -> Result<(), Error> {
        self.remove_where(|entry| entry.version() == version)
    }

    /// Removes every kernel image but those of the running version, and what a cut-off install left, durably: what belongs to
    /// the slot that is about to be overwritten must not be bootable any more.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn retire_all_but(&self, running: Version) -> Result<Retired, Error> {
        for name in self.names()?.iter().filter(|name| name.starts_with(".partial-")) {
            self.fuse.burn("remove a partial kernel image")?;
            files::remove(&self.dir.join(name))?;
        }
        self.remove_where(|entry| entry.version() != running)?;
        Ok(Retired { _private: () })
    }

    /// The newest good kernel image of another version than `running`, with the root hash that it starts.
    ///
    /// # Errors
    /// When one cannot be read, or starts no /usr of ours.
    pub fn previous(&self, running: Version) -> Result<Option<(Version, RootHash)>, Error> {
        let found =
            self.list()?.into_iter().find(|entry| entry.version() != running && entry.tries().is_none());
        let Some(entry) = found else { return Ok(None) };
        let path = self.dir.join(entry.to_string());
        let reading = || Error::system(format!("read the kernel image `{}`", path.display()));
        let mut file = File::open(&path).map_err(reading())?;
        let root = Image::read(&mut file).and_then(|image| image.usrhash());
        Ok(Some((entry.version(), root.map_err(|error| reading()(io::Error::other(error)))?)))
    }

    /// Gives the kernel images of one version up, durably: the boot loader takes any other one first.
    ///
    /// # Errors
    /// When one cannot be renamed.
    pub fn give_up(&self, version: Version) -> Result<(), Error> {
        for entry in self.list()?.iter().filter(|entry| entry.version() == version && !entry.is_spent()) {
            self.fuse.burn("give a kernel image up")?;
            let [from, to] = [entry, &entry.given_up()].map(|entry| self.dir.join(entry.to_string()));
            files::rename(&from, &to)?;
        }
        self.fuse.burn("flush the EFI system partition")?;
        Ok(files::sync_dir(&self.dir)?)
    }

    fn remove_where(&self, is_meant: impl Fn(&Entry) -> bool) -> Result<(), Error> {
        for entry in self.list()?.iter().filter(|entry| is_meant(entry)) {
            self.fuse.burn("remove a kernel image")?;
            files::remove(&self.dir.join(entry.to_string()))?;
        }
        self.fuse.burn("flush the EFI system partition")?;
        Ok(files::sync_dir(&self.dir)?)
    }

    /// Bytes that a kernel image may have to fit, once [`KernelImages::retire_all_but`] is done.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn room_after_retiring(&self, running: Version) -> Result<u64, Error> {
        let mut room_bytes = files::free_bytes(&self.dir)?;
        for entry in self.list()?.iter().filter(|entry| entry.version() != running) {
            let path = self.dir.join(entry.to_string());
            let metadata = path.metadata().map_err(Error::system(format!("measure `{}`", path.display())))?;
            room_bytes += metadata.len();
        }
        Ok(room_bytes.saturating_sub(MARGIN_BYTES))
    }

    /// Installs a kernel image under the name that makes the boot loader try it: the last write of an update. The image
    /// appears whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; then no image appears.
    pub fn install(&self, version: Version, kernel: &mut File) -> Result<(), Error> {
        let entry = Entry::fresh(&self.os, version)
            .map_err(|error| Error::system("name the kernel image")(io::Error::other(error)))?;
        let writing = || Error::system(format!("write `{entry}` to the EFI system partition"));
        self.fuse.burn("make a file for the kernel image")?;
        let mut file = AtomicFile::create(self.dir.join(entry.to_string()))?;
        io::copy(kernel, &mut Fused { file: &mut file, fuse: &self.fuse }).map_err(writing())?;
        self.fuse.burn("name the kernel image")?;
        file.commit()?;
        self.fuse.burn("return from naming the kernel image")
    }
}

/// Evidence that only the running version has kernel images.
#[derive(Debug)]
pub struct Retired {
    _private: (),
}

struct Fused<'a> {
    file: &'a mut AtomicFile,
    fuse: &'a Fuse,
}

impl Write for Fused<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.fuse.burn_io()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
