//! Unified kernel images: systemd's boot stub, a kernel, an initial RAM disk and a command line in one PE file.
//!
//! [`build`](fn@build) appends sections to the stub (UAPI.5, Unified Kernel Image; systemd-stub(7); PE format: Microsoft's
//! "PE Format" specification); [`Image::read`] finds them again in a file that may be hostile; [`reword`](fn@reword) exchanges
//! the texts of an image. Nothing is signed here.

mod build;
mod image;
mod pe;
mod reword;
mod sbat;

use std::io;

use sm_model::{Arch, exit};

pub use build::{Parts, build};
pub use image::{Image, Section};
pub use pe::Malformed;
pub use reword::reword;

/// Why an image could not be built or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed.
    #[error("cannot {action} the kernel image")]
    Io {
        /// What was being done: `read` or `write`.
        action: &'static str,
        /// What the stream said.
        #[source]
        source: io::Error,
    },
    /// A file that is no usable PE file.
    #[error("the {what} is not a usable PE file")]
    Malformed {
        /// Which file: stub, kernel or kernel image.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// Stub and kernel for different machines.
    #[error("the stub is for {stub}, the kernel for {kernel}")]
    ArchMismatch {
        /// The stub's architecture.
        stub: Arch,
        /// The kernel's architecture.
        kernel: Arch,
    },
    /// A stub that carries a signature or sections that are ours to add.
    #[error("the stub is not as systemd ships it: {0}")]
    UnsuitableStub(&'static str),
    /// Text that the stub or the kernel would misread.
    #[error("`{section}` is empty, larger than {max} bytes, or has control characters")]
    Text {
        /// Which section.
        section: &'static str,
        /// Largest size.
        max: u64,
    },
    /// No room for the section headers, the revocation data, or more than 4 GiB.
    #[error("no room for {0}")]
    NoRoom(&'static str),
    /// An image without a section that every image has.
    #[error("the kernel image has no `{0}` section")]
    NoSection(&'static str),
    /// A command line that names no root hash, or several.
    #[error("the kernel command line does not have exactly one `usrhash=`, with 64 hexadecimal digits")]
    UsrHash,
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Malformed { .. } | Error::NoSection(_) => {
                "`ukify inspect` or `objdump -h` shows what the file holds"
            }
            Error::ArchMismatch { .. } => "take stub and kernel from packages of one architecture",
            Error::UsrHash => "only kernel images that were composed with their /usr image can be installed",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Exit code of a program that fails with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } => exit::STORAGE,
            _ => exit::INVALID_INPUT,
        }
    }
}

#[cfg(test)]
mod tests;
