//! `release evidence`: what a release is judged by, read from its files and recorded: also what was made on another machine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use sm_compose::{
    diff::Diff,
    release::{ReleaseDir, contents::Listed},
};
use sm_debian::ChangeKind;
use sm_host::files::read_text;
use sm_model::{
    Channel, PackageName, Sha256, TrainId,
    evidence::{Candidate, ImageDiff, PackageChange, PackageChangeKind},
    release_event::{Event, EvidenceEvent},
    test_report::TestReport,
};
use sm_release::{
    bundle::lines_of,
    proof::digest_of,
    train::{Command, command::Which},
};

use crate::{
    context::{Context, Outcome},
    named,
    project::{Meant, Project},
    told,
};

/// Largest manifest, report or notes that are read.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Record evidence that was made elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    meant: Meant,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A release was composed.
    Composed {
        /// Its directory.
        release: PathBuf,
    },
    /// A release was tested.
    Tested {
        /// Its directory.
        release: PathBuf,
        /// The report, JSON.
        report: PathBuf,
    },
    /// A release is compared with the one before it.
    Compared {
        /// Its directory.
        release: PathBuf,
        /// Directory of the release before it.
        against: PathBuf,
    },
    /// The notes are as they will be published.
    Notes {
        /// The notes.
        file: PathBuf,
        /// A change that no fragment tells about; repeatable.
        #[arg(long)]
        missing: Vec<String>,
    },
    /// A number was found that a gate asks for.
    Fact {
        /// Its name: keys.days-left.
        fact: String,
        /// The number.
        #[arg(allow_negative_numbers = true)]
        value: i64,
        /// Where it comes from.
        #[arg(long)]
        source: String,
    },
}

pub(super) fn run(args: &Args, project: &mut Project<'_>, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let which = project.which(&args.meant)?;
    let open = |path: &Path| named::open(Path::new("releases"), path);
    let events = match &args.action {
        Action::Composed { release } => composed(project, which, &open(release)?)?,
        Action::Tested { release, report } => tested(project, which, &open(release)?, report)?,
        Action::Compared { release, against } => compared(project, which, &open(release)?, &open(against)?)?,
        Action::Notes { file, missing } => {
            let text = read_text(file, MAX_DOCUMENT_BYTES)?;
            notes(project, which, &text, missing)?
        }
        Action::Fact { fact, value, source } => {
            let Which { train, channel } = which;
            project.ask_once(Command::Record(EvidenceEvent::Found {
                train,
                channel,
                fact: fact.clone(),
                value: *value,
                items: vec![],
                source: source.clone(),
            }))?
        }
    };
    told::tell(ctx, &events)
}

/// Records a candidate.
pub(super) fn composed(
    project: &mut Project<'_>,
    Which { train, channel }: Which,
    release: &ReleaseDir,
) -> anyhow::Result<Vec<Event>> {
    let lock = release.lock()?;
    let packages = lock.packages.iter().map(|package| (package.name.clone(), package.version.clone()));
    let candidate = Candidate {
        manifest: release.manifest_sha256(),
        version: release.manifest().version,
        usr_size_bytes: release.manifest().usr_size_bytes,
        packages: packages.collect(),
    };
    project.blobs().put(release.manifest_bytes())?;
    let board = release.manifest().board;
    project.ask_once(Command::Record(EvidenceEvent::Composed { train, channel, board, candidate }))
}

/// Records a test report.
pub(super) fn tested(
    project: &mut Project<'_>,
    Which { train, channel }: Which,
    release: &ReleaseDir,
    path: &Path,
) -> anyhow::Result<Vec<Event>> {
    let text = read_text(path, MAX_DOCUMENT_BYTES)?;
    let report: TestReport =
        serde_json::from_str(&text).with_context(|| format!("`{}` is no test report", path.display()))?;
    let digest = project.blobs().put(text.as_bytes())?;
    let board = release.manifest().board;
    if is_recorded(project, train, channel, &digest) {
        return Ok(vec![]);
    }
    project.ask_once(Command::Record(EvidenceEvent::Tested {
        train,
        channel,
        board,
        subject: report.subject,
        report: digest,
        results: lines_of(&report),
    }))
}

/// Whether a report was recorded before: its attempts count once.
fn is_recorded(project: &Project<'_>, train: TrainId, channel: Channel, report: &Sha256) -> bool {
    let release = project.state.release(train, channel);
    release.is_some_and(|(_, release)| release.boards.values().any(|board| board.reports.contains(report)))
}

/// Records a comparison.
pub(super) fn compared(
    project: &mut Project<'_>,
    Which { train, channel }: Which,
    release: &ReleaseDir,
    against: &ReleaseDir,
) -> anyhow::Result<Vec<Event>> {
    let subject = release.manifest_sha256();
    let whole = Diff::between(against, release, usize::MAX)?;
    let (old, new) = (against.contents()?, release.contents()?);
    let diff = ImageDiff {
        document: digest_of(&whole),
        against: against.manifest().version,
        old_usr_size_bytes: against.manifest().usr_size_bytes,
        new_usr_size_bytes: release.manifest().usr_size_bytes,
        packages: changes(&whole),
        deleted_files: deleted(&old, &against.manifest().kernel, &new, &release.manifest().kernel),
        new_setuid: new_setuid(&old, &new),
        new_listeners: None,
    };
    project.blobs().put(sm_model::canonical::to_text(&whole)?.as_bytes())?;
    let board = release.manifest().board;
    project.ask_once(Command::Record(EvidenceEvent::Compared { train, channel, board, subject, diff }))
}

fn changes(diff: &Diff) -> Vec<PackageChange> {
    let fixes = |source: &str| {
        let of_source = diff.sources.iter().filter(|change| change.source == source);
        of_source.flat_map(|change| change.cves.iter().map(ToString::to_string)).collect()
    };
    let change = |delta: &sm_compose::diff::PackageDelta| PackageChange {
        name: PackageName::clone(&delta.change.name),
        kind: match delta.change.kind {
            ChangeKind::Added => PackageChangeKind::Added,
            ChangeKind::Removed => PackageChangeKind::Removed,
            ChangeKind::Upgraded => PackageChangeKind::Upgraded,
            ChangeKind::Downgraded => PackageChangeKind::Downgraded,
            ChangeKind::Rebuilt => PackageChangeKind::Rebuilt,
        },
        from: delta.change.old.clone(),
        to: delta.change.new.clone(),
        fixes: fixes(&delta.source),
    };
    diff.packages.iter().map(change).collect()
}

/// Files that are gone. What has the kernel's release in its path is the same file of another kernel.
fn deleted(
    old: &BTreeMap<String, Listed>,
    old_kernel: &str,
    new: &BTreeMap<String, Listed>,
    new_kernel: &str,
) -> Vec<String> {
    let gone = old.keys().filter(|path| !new.contains_key(&path.replace(old_kernel, new_kernel)));
    gone.cloned().collect()
}

/// Files with a set-user-ID or set-group-ID bit that they did not have.
fn new_setuid(old: &BTreeMap<String, Listed>, new: &BTreeMap<String, Listed>) -> Vec<String> {
    let has_bit = |listed: &Listed| {
        let bits = [listed.mode.as_bytes().get(3), listed.mode.as_bytes().get(6)];
        bits.into_iter().flatten().any(|bit| matches!(bit, b's' | b'S'))
    };
    let gained = new.iter().filter(|(path, listed)| has_bit(listed) && !old.get(*path).is_some_and(has_bit));
    gained.map(|(path, _)| path.clone()).collect()
}

/// Records notes as they will be published.
pub(crate) fn notes(
    project: &mut Project<'_>,
    Which { train, channel }: Which,
    text: &str,
    missing: &[String],
) -> anyhow::Result<Vec<Event>> {
    let notes = project.blobs().put(text.as_bytes())?;
    let missing_fragments = missing.to_vec();
    project.ask_once(Command::Record(EvidenceEvent::NotesAccepted {
        train,
        channel,
        notes,
        missing_fragments,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(mode: &str) -> Listed {
        Listed { mode: mode.to_owned(), size_bytes: 1 }
    }

    #[test]
    fn a_file_of_another_kernel_is_not_gone_and_new_bits_are_seen() {
        let old = [
            ("/usr/lib/modules/6.12.1/vfat.ko".to_owned(), listed("-rw-r--r--")),
            ("/usr/bin/gone".to_owned(), listed("-rwxr-xr-x")),
            ("/usr/bin/su".to_owned(), listed("-rwsr-xr-x")),
            ("/usr/bin/ping".to_owned(), listed("-rwxr-xr-x")),
        ];
        let new = [
            ("/usr/lib/modules/6.12.2/vfat.ko".to_owned(), listed("-rw-r--r--")),
            ("/usr/bin/su".to_owned(), listed("-rwsr-xr-x")),
            ("/usr/bin/ping".to_owned(), listed("-rwxr-sr-x")),
        ];
        let (old, new) = (old.into(), new.into());
        assert_eq!(deleted(&old, "6.12.1", &new, "6.12.2"), ["/usr/bin/gone"]);
        assert_eq!(new_setuid(&old, &new), ["/usr/bin/ping"]);
    }
}
