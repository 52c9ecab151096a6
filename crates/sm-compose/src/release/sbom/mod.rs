//! The bill of materials of an image, as SPDX 2.3 JSON (ISO/IEC 5962 with its 2.3 additions).
//!
//! The operating system contains its binary packages, each generated from its source package, each containing its files
//! with SHA-1 and SHA-256. A file that no package brought belongs to the operating system itself: it is the recipe's.
//! The document follows from the image alone: no clock, no random namespace. Nothing is judged about licences beyond
//! what the packages declare.

mod build;
mod copyright;
mod document;
mod identifiers;
mod licence;

pub use build::{Described, document};
pub use document::{Document, File};
