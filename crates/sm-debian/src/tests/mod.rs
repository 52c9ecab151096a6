//! The whole crate against a small signed archive.

mod recorded;
mod resolution;
mod trust;

use sm_model::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
