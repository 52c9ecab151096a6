//! A release directory and a server over it.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256 as Hasher};
use sm_host::clock::FakeClock;
use sm_model::{Artifact, ArtifactKind, Channel, Manifest, Sha256, Timestamp};
use sm_server::{Config, ServerHandle, spawn};
use tempfile::TempDir;

use crate::http::{self, Reply};

pub(crate) const PAYLOAD: &str = "boxcar_production_update.gz";
pub(crate) const MACHINE: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) server: ServerHandle,
}

impl World {
    /// An empty stable channel, served.
    pub(crate) fn new() -> World {
        World::with(|_| ())
    }

    pub(crate) fn with(configure: impl FnOnce(&mut Config)) -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("releases/stable/amd64-usr")).unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp::from_unix_secs(1_785_000_000).unwrap()));
        let mut config = Config::new(dir.path().join("releases"), dir.path().join("fleet.db"));
        config.clock = clock.clone();
        configure(&mut config);
        World { server: spawn(config).unwrap(), dir, clock }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("fleet.db")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("releases")
    }

    pub(crate) fn board_dir(&self) -> PathBuf {
        self.root().join("stable/amd64-usr")
    }

    /// Writes a whole release and makes it current.
    pub(crate) fn publish(&self, version: &str) {
        self.release(version);
        self.point_current_at(version);
    }

    /// Writes a whole release. Its payload is `payload of VERSION`, repeated.
    pub(crate) fn release(&self, version: &str) {
        let dir = self.board_dir().join(version);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("version.txt"), format!("FLATCAR_VERSION={version}\n")).unwrap();
        std::fs::write(dir.join(PAYLOAD), payload(version)).unwrap();
        write_manifest(&dir, &manifest(version));
    }

    pub(crate) fn point_current_at(&self, target: &str) {
        let next = self.board_dir().join("next");
        symlink(target, &next).unwrap();
        std::fs::rename(next, self.board_dir().join("current")).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(self.address(), path)
    }

    pub(crate) fn post(&self, body: &str) -> Reply {
        http::post(self.address(), "/v1/update/", body.as_bytes())
    }
}

pub(crate) fn write_manifest(dir: &Path, manifest: &Manifest) {
    std::fs::write(dir.join("manifest.json"), serde_json::to_vec_pretty(manifest).unwrap()).unwrap();
}

/// A few hundred kilobytes, so that bodies are sent in several pieces.
pub(crate) fn payload(version: &str) -> Vec<u8> {
    format!("payload of {version}\n").into_bytes().repeat(40_000)
}

pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(Hasher::digest(bytes).into())
}

pub(crate) fn manifest(version: &str) -> Manifest {
    let bytes = payload(version);
    let artifact =
        Artifact::sample(PAYLOAD.parse().unwrap(), ArtifactKind::Payload, bytes.len() as u64, sha256(&bytes));
    Manifest { channel: Channel::Stable, ..Manifest::sample(version.parse().unwrap(), vec![artifact]) }
}

/// A request of `tests/data/requests`.
pub(crate) fn recorded(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/requests").join(name).with_extension("xml");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
