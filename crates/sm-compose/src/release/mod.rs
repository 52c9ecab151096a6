//! The release directory: an image, its payload and everything told about them, under names that others look for.
//!
//! `ROOT/CHANNEL/BOARD/VERSION/` appears whole or not at all; `ROOT/CHANNEL/BOARD/current` is switched last. Names follow
//! Flatcar's (`facts` of its release process: `flatcar_production_image.bin.bz2` and so on), with the id of the
//! operating system in front. Nothing here makes an image or chooses a version.
//!
//! | module | what it writes or reads |
//! |---|---|
//! | [`names`] | the name of each artifact |
//! | `staging` | the directory while it grows; digests of every byte written |
//! | [`publish`](mod@publish) | the whole release, in order |
//! | [`open`](mod@open) | a release directory that exists, every byte checked |
//! | [`version_text`], [`package_list`], [`contents`] | `version.txt`, packages and files, one a line |
//! | [`changelogs`] | what the packages' own changelogs say |
//! | [`sbom`] | the SPDX 2.3 bill of materials |

pub mod changelogs;
pub mod contents;
mod error;
pub mod names;
pub mod open;
pub mod package_list;
pub mod publish;
pub mod sbom;
mod sparse;
mod staging;
#[cfg(test)]
pub(crate) mod tests;
pub mod version_text;

pub use error::ReleaseError;
pub use names::MANIFEST;
pub use open::ReleaseDir;
pub use publish::{Published, Release, publish};
