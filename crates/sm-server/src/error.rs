//! Why a server cannot start or go on. What goes wrong for one request is a `Refusal`.

use std::{io, net::SocketAddr, path::PathBuf};

use sm_model::exit;

/// A failure of the whole server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; every problem is listed.
    #[error("configuration is not valid:\n  {}", problems.join("\n  "))]
    Config {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// The configuration file could not be read.
    #[error("cannot read the configuration")]
    ReadConfig(#[source] sm_host::files::FileError),
    /// The configuration file is not TOML of our form.
    #[error("cannot understand the configuration `{}`", path.display())]
    ParseConfig {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The release directory is not there.
    #[error("cannot open the release directory `{}`", path.display())]
    Root {
        /// Which directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread, the runtime or a signal handler could not be started.
    #[error("cannot start {what}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database could not be opened.
    #[error("cannot use the fleet database")]
    Store(#[from] sm_store::Error),
    /// The server's thread panicked; the panic is in the log.
    #[error("the server stopped unexpectedly")]
    Crashed,
}

/// What to listen on instead.
fn bind_hint(address: SocketAddr, why: io::ErrorKind) -> String {
    match why {
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine has no address {}: `ip address` lists those it has, `--listen {}:{}` takes all of them",
            address.ip(),
            if address.is_ipv4() { "0.0.0.0" } else { "[::]" },
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root: choose another with `--listen ADDR:PORT`".to_owned()
        }
        _ => "another program may listen there; choose with `--listen ADDR:PORT` (port 0: any free one)"
            .to_owned(),
    }
}

impl Error {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Config { .. } | Error::ParseConfig { .. } => {
                Some("`stationmaster serve --help` shows a configuration that works".into())
            }
            Error::ReadConfig(source) => source.hint(),
            Error::Root { .. } => Some(
                "`--root` is the folder that `stationmaster compose` releases into; create it or name it"
                    .into(),
            ),
            Error::Bind { address, source } => Some(bind_hint(*address, source.kind())),
            Error::Store(source) => source.hint(),
            Error::Start { .. } | Error::Crashed => None,
        }
    }

    /// Exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config { .. } | Error::ParseConfig { .. } => exit::INVALID_INPUT,
            Error::ReadConfig(_) | Error::Root { .. } => exit::STORAGE,
            Error::Bind { .. } => exit::NETWORK,
            Error::Store(source) => source.exit_code(),
            Error::Start { .. } | Error::Crashed => exit::FAILURE,
        }
    }
}
