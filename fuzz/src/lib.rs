//! What several fuzz targets share: valid documents to start from, made by the project's own writers.
//!
//! Nothing here fuzzes; `examples/seeds.rs` writes the documents where cargo-fuzz looks for them.

pub mod archive;
pub mod image;
pub mod omaha;
pub mod pe;
pub mod project;
pub mod room;
pub mod suite;

/// A document with the target that it is for and a name of its own.
pub struct Seed {
    pub target: &'static str,
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Every seed.
pub fn seeds() -> Vec<Seed> {
    let all: [Vec<(&'static str, &'static str, Vec<u8>)>; 6] =
        [archive::seeds(), image::seeds(), omaha::seeds(), project::seeds(), room::seeds(), suite::seeds()];
    all.into_iter().flatten().map(|(target, name, bytes)| Seed { target, name, bytes }).collect()
}
