//! Debian archives as values: version order, control data, signed indexes, dependency resolution.
//!
//! Bytes come in as arguments, `now` comes in as an argument, values go out. Nothing here opens a file or a
//! connection: `sm-compose` fetches, this crate judges.
//!
//! | module | what it knows |
//! |---|---|
//! | [`names`], [`request`] | what to resolve, and from which suites |
//! | [`version`], [`relation`] | the order of versions, and dependencies bounded by it |
//! | [`control`] | stanzas and fields |
//! | [`signature`], [`release`], [`verified`] | who signed a suite, what it says, and the evidence that it may be relied on |
//! | [`packages`] | the packages of an index |
//! | [`resolve`](mod@resolve) | the one set of packages that answers a request, or why there is none |
//! | [`apt_sources`] | where a host's APT takes Debian from |
//! | [`lock`] | the answer as a lock, and what differs between two |
//! | [`changelog`] | what packages' changelogs say, and the CVE ids they name |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod apt_sources;
pub mod changelog;
pub mod control;
pub mod lock;
pub mod names;
pub mod packages;
pub mod relation;
pub mod release;
pub mod request;
pub mod resolve;
pub mod signature;
#[cfg(any(test, feature = "test-support"))]
pub mod test_archive;
pub mod verified;
pub mod version;

mod signing_key;
#[cfg(test)]
mod tests;

pub use lock::{ChangeKind, LockDiff, PackageChange};
pub use names::{ComponentName, MirrorName, SuiteName};
pub use packages::Package;
pub use request::{Pin, Request, SuiteRef};
pub use resolve::{Chosen, Unresolvable, resolve};
pub use signature::{Keyring, SignatureReport};
pub use verified::VerifiedRelease;
