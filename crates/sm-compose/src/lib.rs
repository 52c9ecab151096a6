//! Recipe to lock to tree to images: a pure plan, then a run.
//!
//! | module | what it does |
//! |---|---|
//! | [`recipe`] | what an operating system is made of: TOML text → checked recipe → plan |
//! | [`archive`] | request → lock → verified package files |
//! | [`tools`] | packages → programs of the build host |
//! | [`agent`] | the update agent's source → its binary for an image, where the host has none |
//! | [`unpack`] | packages → [`tree`], in parallel, running nothing |
//! | `fixups` | what maintainer scripts would have done, as declared |
//! | [`image`] | tree → disk image, kernel image, root hash |
//! | [`release`] | image → release directory, and back |
//! | `scratch` | working directories that never outlive their work |
//! | [`build`] | all of these in order: recipe → release directory |
//! | [`cost`](mod@cost) | two releases → what the packages of one cost |
//! | [`diff`](mod@diff) | two releases → what differs |

pub mod agent;
pub mod archive;
pub mod build;
pub mod cost;
pub mod diff;
mod fixups;
pub mod image;
mod initrd;
pub mod recipe;
pub mod release;
mod scratch;
pub mod tools;
pub mod tree;
pub mod unpack;
