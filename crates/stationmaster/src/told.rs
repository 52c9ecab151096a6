//! What happened, in sentences: the only place that puts events into words for whoever gave a command.

use std::fmt;

use serde::Serialize;
use sm_model::{
    Channel,
    release_event::{
        BlockerEvent, CalendarEvent, Event, EvidenceEvent, ExceptionEvent, Resolution, RulesEvent,
        StepResult, TrainEvent, VoteEvent,
    },
    statement::Verdict,
};

use crate::context::{Context, Outcome};

/// Events and their sentences.
#[derive(Serialize)]
struct Told<'a> {
    events: &'a [Event],
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events.is_empty() {
            return f.write_str("nothing to do: it is so already");
        }
        let sentences: Vec<String> = self.events.iter().map(sentence).collect();
        f.write_str(&sentences.join("\n"))
    }
}

/// Tells what came of a command.
pub(crate) fn tell(ctx: &Context<'_>, events: &[Event]) -> anyhow::Result<Outcome> {
    ctx.data(&Told { events })?;
    Ok(Outcome::Done)
}

/// One event in one sentence.
pub(crate) fn sentence(event: &Event) -> String {
    match event {
        Event::Rules(event) => rules(event),
        Event::Calendar(event) => calendar(event),
        Event::Train(event) => train(event),
        Event::Evidence(event) => evidence(event),
        Event::Vote(event) => vote(event),
        Event::Exception(event) => exception(event),
        Event::Blocker(event) => blocker(event),
        Event::Notes(_) | Event::Request(_) => event.kind(),
    }
}

fn rules(event: &RulesEvent) -> String {
    match event {
        RulesEvent::Adopted { file, .. } => format!("`{}` is in force", file.file_name()),
        RulesEvent::HistoryImported { releases } => match releases.len() {
            1 => "one release of the past is known".to_owned(),
            n => format!("{n} releases of the past are known"),
        },
    }
}

fn calendar(event: &CalendarEvent) -> String {
    match event {
        CalendarEvent::Frozen { from, until, reason } => format!("frozen from {from} to {until}: {reason}"),
        CalendarEvent::Thawed { from, reason } => format!("the freeze of {from} is lifted: {reason}"),
        CalendarEvent::Moved { channel, from, to, reason } => {
            format!("{channel} goes on {to} instead of {from}: {reason}")
        }
        CalendarEvent::ExpediteAsked { day, reason } => {
            format!("asked for {day} ({reason}); a second person grants it")
        }
        CalendarEvent::ExpediteGranted { day } => format!("releases can be published on {day}"),
    }
}

fn of(channel: Option<Channel>) -> String {
    channel.map_or_else(String::new, |channel| format!(" {channel}"))
}

fn train(event: &TrainEvent) -> String {
    match event {
        TrainEvent::Opened { train, day, releases, .. } => {
            let carried: Vec<String> =
                releases.iter().map(|r| format!("{} {} ({})", r.channel, r.version, r.wanted)).collect();
            format!("train {train} goes on {day} with {}", carried.join(", "))
        }
        TrainEvent::StepBegun { step, channel, .. } => format!("{step}{} begun", of(*channel)),
        TrainEvent::StepEnded { step, channel, result, .. } => {
            let (word, detail) = match result {
                StepResult::Done { evidence } => ("done", evidence),
                StepResult::NotApplicable { reason } => ("n/a", reason),
                StepResult::Failed { reason } => ("failed", reason),
            };
            format!("{step}{} {word}: {detail}", of(*channel))
        }
        TrainEvent::PointOfNoReturn { channel, .. } => format!("{channel}: point of no return acknowledged"),
        TrainEvent::PublishBegun { channel, .. } => format!("{channel}: publishing begins"),
        TrainEvent::Published { channel, .. } => format!("{channel}: published"),
        TrainEvent::Slipped { train, to, reason } => format!("train {train} goes on {to}: {reason}"),
        TrainEvent::Dropped { train, channel, reason } => format!("{channel} leaves train {train}: {reason}"),
        TrainEvent::Cancelled { train, reason } => format!("train {train} is cancelled: {reason}"),
        TrainEvent::Closed { train } => format!("train {train} is closed"),
    }
}

fn evidence(event: &EvidenceEvent) -> String {
    match event {
        EvidenceEvent::Composed { channel, board, candidate, .. } => {
            format!("{channel} {} composed for {board}", candidate.version)
        }
        EvidenceEvent::Tested { channel, board, results, .. } => {
            format!("{channel} {board} tested: {} results", results.len())
        }
        EvidenceEvent::Compared { channel, board, diff, .. } => {
            format!("{channel} {board} compared with {}", diff.against)
        }
        EvidenceEvent::NotesAccepted { channel, missing_fragments, .. } => match missing_fragments.len() {
            0 => format!("{channel}: notes accepted"),
            1 => format!("{channel}: notes accepted, one change has no fragment"),
            n => format!("{channel}: notes accepted, {n} changes have no fragment"),
        },
        EvidenceEvent::Found { channel, fact, value, .. } => format!("{channel}: {fact} is {value}"),
    }
}

fn vote(event: &VoteEvent) -> String {
    match event {
        VoteEvent::Opened { poll } => {
            format!("votes on {} {} are open, until {} at least", poll.channel, poll.version, poll.closes)
        }
        VoteEvent::Cast { ballot } => {
            let ballot = &ballot.statement;
            format!("{} {} on {} {}", ballot.voter, ballot.choice.word(), ballot.channel, ballot.version)
        }
        VoteEvent::Announced { channel, room, .. } => format!("votes on {channel} are asked for in `{room}`"),
        VoteEvent::ObjectionAnswered { voter, .. } => format!("{voter} is answered"),
        VoteEvent::Decided { decision } => {
            let decision = &decision.statement;
            let (channel, version, word) = (decision.channel, decision.version, decision.verdict.word());
            let mut lines = vec![format!("{channel} {version}: {word}")];
            if decision.verdict == Verdict::Go {
                lines[0] = format!("{}, good until {}", lines[0], decision.until);
            }
            lines.extend(decision.reasons.iter().map(|reason| format!("  because {reason}")));
            lines.extend(
                decision.overrides.iter().map(|id| format!("  override {id} is part of this decision")),
            );
            lines.join("\n")
        }
    }
}

fn exception(event: &ExceptionEvent) -> String {
    match event {
        ExceptionEvent::WaiverAsked { waiver } => {
            let waiver = &waiver.statement;
            let named = sm_release::gate::named(&waiver.requirement, &waiver.scenario);
            format!("waiver {} asked for: {named}; a second person makes it count", waiver.id)
        }
        ExceptionEvent::OverrideAsked { lifted } => {
            let lifted = &lifted.statement;
            let rule = lifted.rule.word();
            format!(
                "override {} asked for: {rule} of {}; a second person makes it count",
                lifted.id, lifted.channel
            )
        }
        ExceptionEvent::Seconded { seconding } => format!("{} counts", seconding.statement.id),
        ExceptionEvent::Withdrawn { id, reason } => format!("{id} counts no longer: {reason}"),
    }
}

fn blocker(event: &BlockerEvent) -> String {
    match event {
        BlockerEvent::Opened { id, title, channels, .. } => {
            let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
            format!("blocker {id} for {}: {title}", channels.join(", "))
        }
        BlockerEvent::Closed { id, resolution, reason } => {
            let word = match resolution {
                Resolution::Fixed => "fixed",
                Resolution::Rejected => "rejected",
                Resolution::Deferred => "deferred",
            };
            format!("blocker {id} {word}: {reason}")
        }
    }
}
