//! Identities, and every document that Stationmaster stores or transmits.
//!
//! This crate is the vocabulary: a type lives here when it is an identity or when it appears in a stored or
//! transmitted document. It decides nothing and never touches the clock, the disk or the network.
//!
//! | module | what it names |
//! |---|---|
//! | [`arch`] | CPU architectures and the boards named after them |
//! | [`canonical`] | the one spelling of a document as bytes, for digests and signatures |
//! | [`channel`], [`version`] | where a release goes and what it is called |
//! | [`cve`] | names of vulnerabilities |
//! | [`digest`] | SHA-256 and SHA-512 digests |
//! | [`file_name`] | names that are safe as one path component |
//! | [`fleet`], [`machine`] | hosts, and what the update server records about them |
//! | [`package`], [`lock`] | distribution packages and the pinned set an image is made of |
//! | [`manifest`] | the signed-over description of one release for one board |
//! | [`person`], [`train`] | people and roles; release trains, their releases and steps |
//! | [`notes`] | changelog fragments, and the release notes they become |
//! | [`request`] | packages that somebody asks for |
//! | [`evidence`] | what a release is judged by |
//! | [`statement`] | what people say with weight: ballots, waivers, overrides, decisions |
//! | [`release_event`] | what happened on the way to a release |
//! | [`report`] | what hosts tell the update server |
//! | [`test_report`] | every attempt of every test at one image |
//! | [`exit`] | process exit codes, which are part of the interface |
//! | [`time`] | instants in whole seconds, and days |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod arch;
pub mod canonical;
pub mod channel;
pub mod cve;
pub mod digest;
pub mod evidence;
pub mod exit;
pub mod file_name;
pub mod fleet;
pub mod lock;
pub mod machine;
pub mod manifest;
pub mod notes;
pub mod package;
pub mod person;
pub mod release_event;
pub mod report;
pub mod request;
pub mod statement;
pub mod test_report;
pub mod time;
pub mod train;
pub mod version;

#[cfg(feature = "test-support")]
mod sample;
mod text;

pub use arch::{Arch, Board};
pub use channel::Channel;
pub use cve::CveId;
pub use digest::{Sha256, Sha512};
pub use file_name::FileName;
pub use lock::{Lock, LockedArchive, LockedPackage};
pub use machine::MachineId;
pub use manifest::{Artifact, ArtifactKind, Manifest};
pub use notes::FragmentId;
pub use package::{PackageName, PackageVersion};
pub use person::{Handle, Role};
pub use time::{Date, Timestamp};
pub use train::{ItemId, Released, StepId, TrainId};
pub use version::Version;
