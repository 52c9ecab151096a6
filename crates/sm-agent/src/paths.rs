//! Where things are on a host: one place that names every path, all below a root that tests replace by a directory.

use std::path::{Path, PathBuf};

/// The root directory of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The host below `directory`: `/` for the host that this program runs on.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Root(directory.into())
    }

    /// An absolute path of the host.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// What the image says about itself, os-release(5).
    pub fn os_release(&self) -> PathBuf {
        self.path("/usr/lib/os-release")
    }

    /// Version, board and application of the image.
    pub fn release(&self) -> PathBuf {
        self.path("/usr/share/boxcar/release")
    }

    /// Settings files: the first that has a key wins.
    pub fn settings(&self) -> [PathBuf; 2] {
        [self.path("/etc/boxcar/update.conf"), self.path("/usr/share/boxcar/update.conf")]
    }

    /// Directories whose files list the units that must run, for `health`.
    pub fn health_lists(&self) -> [PathBuf; 2] {
        [self.path("/usr/share/boxcar/health.d"), self.path("/etc/boxcar/health.d")]
    }

    /// The key that must have signed every payload.
    pub fn payload_key(&self) -> PathBuf {
        self.path("/usr/share/boxcar/update-payload-key.pub.pem")
    }

    /// The machine's identity, machine-id(5).
    pub fn machine_id(&self) -> PathBuf {
        self.path("/etc/machine-id")
    }

    /// The identity of this boot.
    pub fn boot_id(&self) -> PathBuf {
        self.path("/proc/sys/kernel/random/boot_id")
    }

    /// The kernel's command line.
    pub fn cmdline(&self) -> PathBuf {
        self.path("/proc/cmdline")
    }

    /// Every block device of the host.
    pub fn block_devices(&self) -> PathBuf {
        self.path("/sys/class/block")
    }

    /// The device node of a block device.
    pub fn device_node(&self, name: &str) -> PathBuf {
        self.path("/dev").join(name)
    }

    /// Where the boot loader looks for kernel images.
    pub fn kernel_images(&self) -> PathBuf {
        self.path("/efi/EFI/Linux")
    }

    /// Everything that the agent remembers.
    pub fn state_dir(&self) -> PathBuf {
        self.path("/var/lib/boxcar/update")
    }

    /// Source of random numbers.
    pub fn random(&self) -> PathBuf {
        self.path("/dev/urandom")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_stays_below_the_root() {
        let root = Root::at("/tmp/host");
        assert_eq!(root.path("/etc/x"), Path::new("/tmp/host/etc/x"));
        assert_eq!(Root::at("/").state_dir(), Path::new("/var/lib/boxcar/update"));
    }
}
