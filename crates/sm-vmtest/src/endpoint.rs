//! The seam to the update server: this crate tells when one is needed, the operator's command says which.

use std::path::{Path, PathBuf};

use sm_model::report::Report;

/// An update server that runs until it is dropped.
pub trait Endpoint {
    /// Port that it listens on, on this machine's loopback address.
    fn port(&self) -> u16;

    /// Everything that machines have reported to it, oldest first.
    ///
    /// # Errors
    /// When its database cannot be read.
    fn reports(&self) -> Result<Vec<Report>, EndpointError>;
}

/// Why an update server could not be started or asked.
pub type EndpointError = Box<dyn std::error::Error + Send + Sync>;

/// What an update server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The release directory.
    pub root: PathBuf,
    /// The fleet's database.
    pub database: PathBuf,
}

impl Served {
    /// A server of the releases in `dir/releases`, whose database is in `dir/server`.
    pub fn below(dir: &Path) -> Self {
        Served { root: dir.join("releases"), database: dir.join("server/fleet.sqlite") }
    }
}

/// Starts an update server.
pub type StartEndpoint<'a> = &'a (dyn Fn(&Served) -> Result<Box<dyn Endpoint>, EndpointError> + Sync);
