//! One error for callers that use several formats; each format keeps its own, with the details.

use crate::{boot_entry, cpio, erofs, esp, gpt, payload, qcow2, slots, uki, verity};

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// Whatever can go wrong in this crate.
        #[derive(Debug, thiserror::Error)]
        pub enum Error {
            $($(#[$doc])* #[error(transparent)] $variant(#[from] $type),)*
        }

        impl Error {
            /// What to do next.
            pub fn hint(&self) -> Option<String> {
                match self { $(Error::$variant(error) => error.hint(),)* }
            }

            /// Exit code of a program that fails with this error.
            pub fn exit_code(&self) -> u8 {
                match self { $(Error::$variant(error) => error.exit_code(),)* }
            }
        }
    };
}

errors! {
    /// A partition table.
    Gpt(gpt::Error),
    /// A change of slots.
    Slots(slots::Error),
    /// A verity tree.
    Verity(verity::Error),
    /// An EROFS image.
    Erofs(erofs::Error),
    /// An initial RAM disk.
    Cpio(cpio::Error),
    /// A unified kernel image.
    Uki(uki::Error),
    /// A payload that is read.
    PayloadRead(payload::read::ReadError),
    /// A payload that is written.
    PayloadWrite(payload::write::WriteError),
    /// The name of a kernel image.
    BootEntry(boot_entry::Error),
    /// An EFI system partition.
    Esp(esp::Error),
    /// A QEMU disk image.
    Qcow2(qcow2::Error),
}
