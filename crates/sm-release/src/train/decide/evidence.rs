//! Evidence: bound to the candidate it is about, added to and never taken away.

use sm_model::{
    Board, Channel, Sha256, Timestamp, TrainId,
    release_event::{Envelope, Event, EvidenceEvent},
};

use super::{Checks, Phase, Refusal, Refusals, State, Which, release_of, ticked};
use crate::{
    gate::facts,
    rules::policy::Context,
    train::{apply::apply, question},
};

/// Which candidate evidence is about.
struct Subject {
    which: Which,
    board: Board,
    manifest: Sha256,
}

pub(super) fn record(state: &State, event: EvidenceEvent, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    match &event {
        EvidenceEvent::Composed { train, channel, candidate, .. } => {
            let which = Which { train: *train, channel: *channel };
            composed(state, which, candidate)?;
        }
        EvidenceEvent::Tested { train, channel, board, subject, .. }
        | EvidenceEvent::Compared { train, channel, board, subject, .. } => {
            let which = Which { train: *train, channel: *channel };
            about(state, &Subject { which, board: *board, manifest: *subject })?;
        }
        EvidenceEvent::NotesAccepted { train, channel, .. } => {
            let (_, release) = release_of(state, Which { train: *train, channel: *channel })?;
            require_candidate(!release.boards.is_empty(), *channel)?;
        }
        EvidenceEvent::Found { train, channel, fact, .. } => {
            release_of(state, Which { train: *train, channel: *channel })?;
            found(fact)?;
        }
    }
    let steps = ticks(state, &event, now);
    Ok(std::iter::once(Event::Evidence(event)).chain(steps).collect())
}

fn require_candidate(is_there: bool, channel: Channel) -> Result<(), Refusals> {
    let mut checks = Checks::default();
    checks.require(
        is_there,
        "no-candidate",
        || format!("nothing was composed for {channel} yet"),
        "composing a candidate: `stationmaster release next`",
    );
    checks.into_result(())
}

fn composed(state: &State, which: Which, candidate: &sm_model::evidence::Candidate) -> Result<(), Refusals> {
    let (_, release) = release_of(state, which)?;
    let mut checks = Checks::default();
    checks.require(
        release.phase != Phase::Publishing,
        "publishing",
        || "publishing has begun: nothing is composed in its place".to_owned(),
        "the next release",
    );
    checks.require(
        candidate.version == release.plan.version,
        "other-version",
        || format!("{} was composed, {} is planned", candidate.version, release.plan.version),
        "composing the version that is planned",
    );
    checks.into_result(())
}

fn about(state: &State, subject: &Subject) -> Result<(), Refusals> {
    let (_, release) = release_of(state, subject.which)?;
    let Subject { which: Which { channel, .. }, board, manifest } = subject;
    let candidate = release.boards.get(board).map(|state| state.inputs.candidate.manifest);
    let mut checks = Checks::default();
    checks.require(
        candidate.is_some(),
        "no-candidate",
        || format!("nothing was composed for {board} of {channel} yet"),
        "composing a candidate",
    );
    checks.require(
        candidate.is_none_or(|candidate| candidate == *manifest),
        "other-candidate",
        || format!("this is about the manifest {manifest:.12}, the candidate's is {:.12}", digits(candidate)),
        "testing and comparing the candidate itself",
    );
    checks.into_result(())
}

fn digits(digest: Option<Sha256>) -> String {
    digest.map_or_else(String::new, |digest| digest.to_string())
}

/// What follows from the state is computed, never recorded.
fn found(fact: &str) -> Result<(), Refusals> {
    let computed = [
        facts::NOTES_ACCEPTED,
        facts::MISSING_FRAGMENTS,
        facts::OPEN_BLOCKERS,
        facts::SOAK_DAYS,
        facts::COMPONENT_DAYS,
        facts::MUTED_OVER_BUDGET,
    ];
    let mut checks = Checks::default();
    checks.require(
        facts::is_fact_name(fact),
        "no-fact",
        || format!("`{}` is not the name of a fact", fact.escape_debug()),
        "dotted words of a-z, 0-9 and `-`",
    );
    checks.require(
        !computed.contains(&fact) && !facts::is_about_image(fact),
        "computed",
        || format!("`{fact}` is computed, never recorded"),
        "the evidence it is computed from",
    );
    checks.into_result(())
}

/// Steps that this evidence ticks off.
fn ticks(state: &State, event: &EvidenceEvent, now: Timestamp) -> Vec<Event> {
    match event {
        EvidenceEvent::Composed { train, channel, board, candidate } => {
            let evidence = format!("{board}: manifest {:.12}", candidate.manifest.to_string());
            let is_first = state.release(*train, *channel).is_some_and(|(_, r)| r.plan.previous.is_none());
            let nothing =
                is_first.then(|| ticked(*train, "T5", Some(*channel), "there is nothing to compare with"));
            let composed = ["B5", "B8"].map(|step| ticked(*train, step, Some(*channel), evidence.clone()));
            composed.into_iter().chain(nothing).collect()
        }
        EvidenceEvent::Tested { train, channel, report, .. } => {
            let complete = is_complete(state, event, *train, *channel, now);
            let evidence = format!("report {:.12}", report.to_string());
            complete.then(|| ticked(*train, "T1", Some(*channel), evidence)).into_iter().collect()
        }
        EvidenceEvent::Compared { train, channel, board, diff, .. } => {
            let packages = match diff.packages.len() {
                1 => "1 package differs".to_owned(),
                n => format!("{n} packages differ"),
            };
            let evidence = format!("{board} against {}: {packages}", diff.against);
            vec![ticked(*train, "T5", Some(*channel), evidence)]
        }
        EvidenceEvent::NotesAccepted { train, channel, notes, .. } => {
            let evidence = format!("notes {:.12}", notes.to_string());
            vec![ticked(*train, "N1", Some(*channel), evidence)]
        }
        EvidenceEvent::Found { .. } => vec![],
    }
}

/// Whether every test that any gate asks for has a result, this one included.
fn is_complete(
    state: &State,
    event: &EvidenceEvent,
    train: TrainId,
    channel: Channel,
    now: Timestamp,
) -> bool {
    let mut after = state.clone();
    let by = "stationmaster".parse().expect("the literal is a short name");
    apply(&mut after, &Envelope { seq: state.seq + 1, at: now, by, body: Event::Evidence(event.clone()) });
    let reports = [Context::Candidate, Context::Go, Context::Publish]
        .map(|context| question::gate(&after, train, channel, context, now));
    !reports
        .iter()
        .flatten()
        .flat_map(|report| &report.items)
        .any(|item| item.because == "there is no result")
}

/// The refusal for something that has no poll.
pub(super) fn no_poll(which: Which) -> Refusals {
    let why = format!("votes on {} of train {} are not open", which.channel, which.train);
    Refusal::new("no-poll", why, "opening them: `stationmaster go open`").into()
}
