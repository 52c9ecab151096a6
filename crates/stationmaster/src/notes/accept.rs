//! Accepting: a suggestion goes into its file; the notes of a release are frozen by digest, and that is evidence that votes are cast on.

use std::{fmt, path::PathBuf};

use sm_host::files;
use sm_model::{
    Sha256, TrainId, canonical,
    notes::{Outcome as Settlement, ReleaseNotes},
    release_event::EvidenceEvent,
};
use sm_release::{
    notes::{
        draft,
        review::{Current, Review},
    },
    proof::digest_bytes,
    train::{Command, Refusal, Refusals, State},
};

use super::{Accept, Args, changelog, drafting, remarks};
use crate::{
    context::{Context, Outcome},
    project::Project,
};

pub(super) fn run(args: &Args, accept: &Accept, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    if drafting::names_release(&accept.what.release) {
        return freeze(args, accept, ctx);
    }
    let id = accept.what.release.to_string_lossy().parse()?;
    take(args, id, &accept.reason, ctx)
}

/// The file first, the record after: a crash between them is mended by accepting again.
fn take(args: &Args, id: u64, reason: &str, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let mut written = PathBuf::new();
    project.record(|project, _| {
        let review = Review::replay(&project.events);
        let fragment = review.fragment_of(id)?;
        let now = remarks::text_now(args, fragment)?;
        let text = review.suggestion(id, Current { id: fragment, text: now.as_deref() })?;
        let event = review.settle(id, Settlement::Accepted, reason)?;
        written = changelog::path_of(args, fragment);
        files::write_atomic(&written, text.as_bytes())?;
        Ok(vec![event])
    })?;
    ctx.line(written.display())?;
    Ok(Outcome::Done)
}

fn freeze(args: &Args, accept: &Accept, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    project.who()?;
    let fragments = changelog::read_sound(args)?.fragments;
    let notes = drafting::make(args, &accept.what, &fragments, &project, ctx)?;
    let text = canonical::to_text(&notes)?;
    let digest = digest_bytes(text.as_bytes());
    let train = train_with(&project.state, &notes)?;
    let missing = draft::unexplained(&notes);
    project.ask(|project| {
        refuse_while_open(&notes, &Review::replay(&project.events))?;
        project.blobs().put(text.as_bytes())?;
        Ok(Command::Record(EvidenceEvent::NotesAccepted {
            train,
            channel: notes.channel,
            notes: digest,
            missing_fragments: missing.clone(),
        }))
    })?;
    ctx.data(&Frozen {
        train,
        channel: notes.channel.to_string(),
        version: notes.version.to_string(),
        notes: digest,
        missing,
    })?;
    Ok(Outcome::Done)
}

/// What people said about fragments that these notes tell is answered before the notes are accepted.
fn refuse_while_open(notes: &ReleaseNotes, review: &Review) -> Result<(), Refusals> {
    let told = |remark: &&sm_release::notes::review::Remark| {
        notes.changes.iter().flat_map(|changes| &changes.items).any(|item| item.fragment == remark.fragment)
    };
    let open = review.open().filter(told).map(|remark| {
        let why = format!("{} on `{}` is open", remark.id, remark.fragment);
        let lift = "`stationmaster notes accept` or `stationmaster notes settle`";
        Refusal::new("remark-open", why, lift)
    });
    let open: Vec<Refusal> = open.collect();
    if open.is_empty() { Ok(()) } else { Err(Refusals(open)) }
}

/// The train that carries this release.
fn train_with(state: &State, notes: &ReleaseNotes) -> Result<TrainId, Refusals> {
    let carries = |train: &&sm_release::train::Train| {
        train.releases.get(&notes.channel).is_some_and(|release| release.plan.version == notes.version)
    };
    state.trains.values().rev().find(carries).map(|train| train.id).ok_or_else(|| {
        let why = format!("no train carries {} {}", notes.channel, notes.version);
        Refusal::new("no-train", why, "opening one: `stationmaster release open`").into()
    })
}

#[derive(serde::Serialize)]
struct Frozen {
    train: TrainId,
    channel: String,
    version: String,
    notes: Sha256,
    missing: Vec<String>,
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: notes {}", self.channel, self.version, self.notes)?;
        self.missing.iter().try_for_each(|what| write!(f, "\nno fragment tells that {what}"))
    }
}
