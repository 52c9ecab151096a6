//! The tests that need no machine: they look into the artifacts of a release, and end within seconds.

pub mod accounts;
pub mod artifacts;
pub mod forbidden;
pub mod identity;
pub mod kernel;
pub mod layout;
pub mod links;
pub mod permissions;
pub mod reproducible;
pub mod sbom;
mod secrets;
pub mod size;
pub mod units;

#[cfg(test)]
mod broken;
