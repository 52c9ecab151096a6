//! Documents for tests to start from: every field has a value, and a test sets those it is about. They exist only with the feature
//! `test-support`, which no program has.

use crate::{
    Arch, Artifact, ArtifactKind, Board, Channel, FileName, Handle, Manifest, Role, Sha256, Sha512,
    Timestamp, Version,
    manifest::Inputs,
    statement::{Poll, Voter},
    train::Urgency,
};

impl Manifest {
    /// A release for `amd64-usr` in alpha, made of inputs whose digests are zeros.
    pub fn sample(version: Version, artifacts: Vec<Artifact>) -> Manifest {
        let zero = Sha256([0; 32]);
        Manifest {
            format: Manifest::FORMAT,
            os: "boxcar".to_owned(),
            version,
            channel: Channel::Alpha,
            board: Board(Arch::Amd64),
            source_date: Timestamp::from_unix_secs(1_784_000_000).expect("the literal is a time"),
            inputs: Inputs {
                recipe_sha256: zero,
                lock_sha256: zero,
                tools_lock_sha256: zero,
                agent_sha256: zero,
                stationmaster: "0.1.0".to_owned(),
            },
            usr_root_hash: zero,
            usr_size_bytes: 4096,
            kernel: "6.12.0".to_owned(),
            artifacts,
        }
    }
}

impl Artifact {
    /// A file of that size and SHA-256. Its SHA-512 is zeros: this crate computes no digest.
    pub fn sample(name: FileName, kind: ArtifactKind, size_bytes: u64, sha256: Sha256) -> Artifact {
        Artifact { name, kind, size_bytes, sha256, sha512: Sha512([0; 64]) }
    }
}

impl Poll {
    /// A poll on alpha 4902.0.0, open from ten to one on 2026-12-02, in which these people vote for the tests.
    pub fn sample(voters: impl IntoIterator<Item = Handle>) -> Poll {
        let at = |time: &str| time.parse().expect("the literal is a time");
        let voter = |handle| Voter { handle, roles: vec![Role::Test], active: true, keys: vec![] };
        Poll {
            train: "2026-12-02".parse().expect("the literal is a train"),
            channel: Channel::Alpha,
            version: Version { major: 4902, level: 0, patch: 0 },
            evidence: Sha256([1; 32]),
            opened: at("2026-12-02T10:00:00Z"),
            closes: at("2026-12-02T13:00:00Z"),
            urgency: Urgency::Normal,
            voters: voters.into_iter().map(voter).collect(),
        }
    }
}
