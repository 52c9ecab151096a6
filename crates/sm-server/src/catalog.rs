//! What is current: the release that `CHANNEL/BOARD/current` points to, as long as it is whole.
//!
//! Looking costs two `stat`s, so a new `current` is offered from the next check on. A release that is not whole is not
//! offered: the last good one stays on offer and the problem is told in the log and in `/healthz`. Taking `current`
//! away withdraws the channel's release.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sm_model::{Artifact, ArtifactKind, Board, Channel, FileName, Manifest, Timestamp, Version};

use crate::manifests::{self, Manifests, Stamp};

/// A release that hosts may be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) channel: Channel,
    pub(crate) board: Board,
    pub(crate) version: Version,
    pub(crate) payload: Artifact,
}

impl Release {
    /// Its folder below the release directory, and below the server's URL.
    pub(crate) fn folder(&self) -> String {
        format!("{}/{}/{}", self.channel, self.board, self.version)
    }
}

/// What `current` says for one channel and board.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// The release on offer.
    pub(crate) release: Option<Arc<Release>>,
    /// Why that is not what `current` points to.
    pub(crate) problem: Option<String>,
}

#[derive(Debug)]
struct Slot {
    stamp: Option<Stamp>,
    looked: Timestamp,
    standing: Standing,
}

/// Current releases below one release directory.
#[derive(Debug)]
pub(crate) struct Catalog {
    root: PathBuf,
    manifests: Arc<Manifests>,
    slots: Mutex<HashMap<(Channel, Board), Slot>>,
}

impl Catalog {
    pub(crate) fn new(root: PathBuf, manifests: Arc<Manifests>) -> Catalog {
        Catalog { root, manifests, slots: Mutex::default() }
    }

    /// Whether the channel has a folder.
    pub(crate) fn has(&self, channel: Channel) -> bool {
        self.root.join(channel.to_string()).is_dir()
    }

    /// The release on offer for that channel and board.
    pub(crate) fn current(&self, channel: Channel, board: Board, now: Timestamp) -> Standing {
        let current = self.root.join(channel.to_string()).join(board.to_string()).join("current");
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (channel, board);
        let stamp = manifests::stamp(&current.join(manifests::MANIFEST)).ok();
        if stamp.is_none() && current.symlink_metadata().is_err() {
            slots.remove(&key);
            return Standing::default();
        }
        match slots.get(&key) {
            Some(slot) if slot.is_fresh(stamp, now) && self.is_offered_whole(slot) => slot.standing.clone(),
            known => {
                let standing = self.look(&current, key, known.map(|slot| &slot.standing));
                slots.insert(key, Slot { stamp, looked: now, standing: standing.clone() });
                standing
            }
        }
    }

    /// Every channel and board that has a `current`, in order.
    pub(crate) fn all(&self, now: Timestamp) -> io::Result<Vec<(Channel, Board, Standing)>> {
        let mut keys = Vec::new();
        for channel in names::<Channel>(&self.root)? {
            let boards = names::<Board>(&self.root.join(channel.to_string())).unwrap_or_default();
            keys.extend(boards.into_iter().map(|board| (channel, board)));
        }
        keys.sort_unstable();
        let standings =
            keys.into_iter().map(|(channel, board)| (channel, board, self.current(channel, board, now)));
        Ok(standings
            .filter(|(_, _, standing)| standing.release.is_some() || standing.problem.is_some())
            .collect())
    }

    /// Reads what `current` points to; what was on offer stays when that is not whole.
    fn look(&self, current: &Path, key: (Channel, Board), known: Option<&Standing>) -> Standing {
        match self.read(current, key) {
            Ok(release) => {
                tracing::info!(channel = %key.0, board = %key.1, version = %release.version, "release is on offer");
                Standing { release: Some(Arc::new(release)), problem: None }
            }
            Err(problem) => {
                if known.is_none_or(|standing| standing.problem.as_ref() != Some(&problem)) {
                    tracing::error!(channel = %key.0, board = %key.1, problem, "release is not whole and not offered");
                }
                let last_good = known.and_then(|standing| standing.release.clone());
                Standing {
                    release: last_good.filter(|release| self.is_whole(release)),
                    problem: Some(problem),
                }
            }
        }
    }

    /// Whether what is offered, if anything is, can still be had: payloads are withdrawn, and pruned, under a manifest that stays.
    fn is_offered_whole(&self, slot: &Slot) -> bool {
        slot.standing.release.as_ref().is_none_or(|release| self.is_whole(release))
    }

    /// Whether a release that was good still has its payload.
    fn is_whole(&self, release: &Release) -> bool {
        let dir = self.root.join(release.folder());
        size_of(&dir, &release.payload.name) == Ok(release.payload.size_bytes)
    }

    fn read(&self, current: &Path, (channel, board): (Channel, Board)) -> Result<Release, String> {
        let dir = current.canonicalize().map_err(|error| format!("cannot follow `current`: {error}"))?;
        if !dir.starts_with(&self.root) {
            return Err("`current` points outside the release directory".into());
        }
        let manifest = self.manifests.of(&dir)?;
        release(&manifest, &dir, channel, board)
    }
}

impl Slot {
    /// A release that was not whole may have been completed meanwhile without touching its manifest: look once a second.
    fn is_fresh(&self, stamp: Option<Stamp>, now: Timestamp) -> bool {
        self.stamp == stamp && (self.standing.problem.is_none() || self.looked == now)
    }
}

/// Checks that the folder holds what the manifest says, and that this belongs here.
fn release(manifest: &Manifest, dir: &Path, channel: Channel, board: Board) -> Result<Release, String> {
    let version = manifest.version;
    if (manifest.channel, manifest.board) != (channel, board) {
        return Err(format!(
            "manifest is for {} {}, expected {channel} {board}",
            manifest.channel, manifest.board
        ));
    }
    // Hosts are sent to the folder of the version, so `current` must be a link to it and not a folder of its own.
    let folder = format!("{channel}/{board}/{version}");
    if !dir.ends_with(&folder) {
        return Err(format!("`current` is not a link to `{folder}`, where its manifest belongs"));
    }
    let payload = manifest.artifact(ArtifactKind::Payload).ok_or("manifest names no payload")?.clone();
    let size_bytes = size_of(dir, &payload.name)?;
    if size_bytes != payload.size_bytes {
        return Err(format!(
            "payload `{}` has {size_bytes} bytes, expected {}",
            payload.name, payload.size_bytes
        ));
    }
    Ok(Release { channel, board, version, payload })
}

fn size_of(dir: &Path, name: &FileName) -> Result<u64, String> {
    match dir.join(name).metadata() {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(format!("payload `{name}` is not a file")),
        Err(error) => Err(format!("cannot read payload `{name}`: {error}")),
    }
}

/// Names in a folder that parse as `T`; others are somebody else's.
fn names<T: std::str::FromStr>(dir: &Path) -> io::Result<Vec<T>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}
