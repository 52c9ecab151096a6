//! Accepting: a suggestion goes into its file; the notes of a release are frozen by digest, and that is evidence that votes are cast on.

use std::fmt;

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
    train::{Command, Refusal, Refusals, State, decide, replay},
};

use super::{Accept, Args, changelog, drafting, remarks};
use crate::context::{Context, Outcome};

pub(super) fn run(args: &Args, accept: &Accept, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    if drafting::names_release(&accept.what.release) {
        return freeze(args, accept, ctx);
    }
    let id = accept.what.release.to_string_lossy().parse()?;
    take(args, id, &accept.reason, ctx)
}

/// The file first, the record after: a crash between them is mended by accepting again.
fn take(args: &Args, id: u64, reason: &str, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let by = args.acting.by()?;
    let mut logbook = args.acting.open()?;
    let review = Review::replay(logbook.events());
    let fragment = review.fragment_of(id)?;
    let now = remarks::text_now(args, fragment)?;
    let text = review.suggestion(id, Current { id: fragment, text: now.as_deref() })?;
    let event = review.settle(id, Settlement::Accepted, reason)?;
    let path = changelog::path_of(args, fragment);
    files::write_atomic(&path, text.as_bytes())?;
    logbook.record(by, ctx.clock.now(), vec![event])?;
    ctx.line(path.display())?;
    Ok(Outcome::Done)
}

fn freeze(args: &Args, accept: &Accept, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let by = args.acting.by()?;
    let mut logbook = args.acting.open()?;
    let fragments = changelog::read_sound(args)?.fragments;
    let notes = drafting::make(args, &accept.what, &fragments, &logbook, ctx)?;
    refuse_while_open(&notes, &Review::replay(logbook.events()))?;
    let state = replay(logbook.events());
    let train = train_with(&state, &notes)?;
    let digest = logbook.blobs().put(canonical::to_text(&notes)?.as_bytes())?;
    let missing = draft::unexplained(&notes);
    let event = EvidenceEvent::NotesAccepted {
        train,
        channel: notes.channel,
        notes: digest,
        missing_fragments: missing.clone(),
    };
    let now = ctx.clock.now();
    let events = decide(&state, by, Command::Record(event), now)?;
    logbook.record(by, now, events)?;
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
