//! What happened on the way to a release: the events that every status is computed from. Appended, never changed.
//!
//! Changing a field's spelling or meaning breaks every log there is: add a variant instead. Unknown fields are refused, so that
//! an older program never misreads a newer log.

use serde::{Deserialize, Serialize};

use crate::{
    Board, Channel, Date, Handle, ItemId, Released, Sha256, StepId, Timestamp, TrainId,
    evidence::{Candidate, ImageDiff, RuleFile, TestLine},
    notes::NotesEvent,
    request::RequestEvent,
    statement::{Ballot, Decision, Override, Poll, Seconding, Signed, Waiver},
    train::{PlannedRelease, Team, Urgency},
};

/// One event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Its number in the log, from 1.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who recorded it.
    pub by: Handle,
    /// What happened.
    pub body: Event,
}

/// What happened, by topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "kebab-case")]
pub enum Event {
    /// About the rules that a project goes by.
    Rules(RulesEvent),
    /// About days.
    Calendar(CalendarEvent),
    /// About a train and its steps.
    Train(TrainEvent),
    /// About what a release is judged by.
    Evidence(EvidenceEvent),
    /// About go/no-go.
    Vote(VoteEvent),
    /// About waivers and overrides.
    Exception(ExceptionEvent),
    /// About what keeps a release from being published.
    Blocker(BlockerEvent),
    /// About changelog fragments.
    Notes(NotesEvent),
    /// About packages that somebody asks for.
    Request(RequestEvent),
}

impl Event {
    /// Its topic and kind in one word, by which a log can be searched: `vote.cast`.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let word = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or("unknown");
        format!("{}.{}", word("topic"), word("kind"))
    }
}

/// About the rules that a project goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RulesEvent {
    /// A file of rules is in force from now on, with these words.
    Adopted {
        /// Which file.
        file: RuleFile,
        /// Its text.
        text: String,
    },
    /// Releases from before this log are known.
    HistoryImported {
        /// The releases.
        releases: Vec<Released>,
    },
}

/// About days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CalendarEvent {
    /// Nothing is published from one day to another.
    Frozen {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
        /// Why.
        reason: String,
    },
    /// A freeze ends early, or never begins.
    Thawed {
        /// First day of the freeze.
        from: Date,
        /// Why.
        reason: String,
    },
    /// A due day was put to another day.
    Moved {
        /// Whose.
        channel: Channel,
        /// Day that the cadence gave.
        from: Date,
        /// Day it is on instead.
        to: Date,
        /// Why.
        reason: String,
    },
    /// Somebody asks for leave to publish on a closed day.
    ExpediteAsked {
        /// The day.
        day: Date,
        /// Why it cannot wait.
        reason: String,
    },
    /// A second person gives it: the day is open.
    ExpediteGranted {
        /// The day.
        day: Date,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StepResult {
    /// It is done.
    Done {
        /// What shows it.
        evidence: String,
    },
    /// It does not apply this time.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// About a train and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrainEvent {
    /// A train was opened.
    Opened {
        /// Its name.
        train: TrainId,
        /// The day it is to be published.
        day: Date,
        /// Whether it keeps to the cadence.
        urgency: Urgency,
        /// Who leads it and who does what.
        team: Team,
        /// What it carries.
        releases: Vec<PlannedRelease>,
    },
    /// A step has begun.
    StepBegun {
        /// The train.
        train: TrainId,
        /// The step.
        step: StepId,
        /// The channel, for steps that each channel has.
        channel: Option<Channel>,
    },
    /// A step has ended.
    StepEnded {
        /// The train.
        train: TrainId,
        /// The step.
        step: StepId,
        /// The channel, for steps that each channel has.
        channel: Option<Channel>,
        /// How.
        result: StepResult,
    },
    /// Two people are needed before anything irreversible: one of them says that they know what they do.
    PointOfNoReturn {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Digest of the evidence bundle.
        evidence: Sha256,
    },
    /// Publishing has begun; what follows is resumed, never begun again.
    PublishBegun {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Digest of the evidence bundle.
        evidence: Sha256,
    },
    /// The release is public.
    Published {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Digest of the evidence bundle.
        evidence: Sha256,
    },
    /// The train goes on another day.
    Slipped {
        /// The train.
        train: TrainId,
        /// The new day.
        to: Date,
        /// Why.
        reason: String,
    },
    /// One channel leaves the train.
    Dropped {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Why.
        reason: String,
    },
    /// The train does not go at all.
    Cancelled {
        /// The train.
        train: TrainId,
        /// Why.
        reason: String,
    },
    /// The train has arrived and nothing is left to do.
    Closed {
        /// The train.
        train: TrainId,
    },
}

/// About what a release is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EvidenceEvent {
    /// A release was composed. Everything known about an earlier candidate of this channel and board is void.
    Composed {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// The board.
        board: Board,
        /// The candidate.
        candidate: Candidate,
    },
    /// A candidate was tested. Adds to what earlier runs found.
    Tested {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// The board.
        board: Board,
        /// Digest of the manifest that was tested.
        subject: Sha256,
        /// Digest of the whole report.
        report: Sha256,
        /// Its attempts.
        results: Vec<TestLine>,
    },
    /// A candidate was compared with the release before it.
    Compared {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// The board.
        board: Board,
        /// Digest of the manifest that was compared.
        subject: Sha256,
        /// The comparison.
        diff: ImageDiff,
    },
    /// The notes are as they will be published.
    NotesAccepted {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Digest of the notes.
        notes: Sha256,
        /// Changes that no fragment tells about.
        missing_fragments: Vec<String>,
    },
    /// A number was found that a gate can ask for.
    Found {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// What: `keys.days-left`.
        fact: String,
        /// The number.
        value: i64,
        /// What it counts, one by one, where it counts things.
        items: Vec<String>,
        /// Where it comes from.
        source: String,
    },
}

/// About go/no-go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum VoteEvent {
    /// Votes are open.
    Opened {
        /// What on, by whom, until when.
        poll: Poll,
    },
    /// Somebody voted. A later ballot of the same person takes the place of an earlier one.
    Cast {
        /// The ballot.
        ballot: Signed<Ballot>,
    },
    /// The question was posted to a chat room.
    Announced {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Digest of the evidence bundle that the poll is about.
        evidence: Sha256,
        /// The room.
        room: String,
        /// The post's id there.
        event_id: String,
    },
    /// A No-Go of somebody whose vote is advice was answered.
    ObjectionAnswered {
        /// The train.
        train: TrainId,
        /// The channel.
        channel: Channel,
        /// Who objected.
        voter: Handle,
        /// The answer.
        answer: String,
    },
    /// The poll is over.
    Decided {
        /// What came of it.
        decision: Signed<Decision>,
    },
}

/// About waivers and overrides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ExceptionEvent {
    /// Somebody asks for a waiver. It counts for nothing yet.
    WaiverAsked {
        /// The waiver.
        waiver: Signed<Waiver>,
    },
    /// Somebody asks for an override. It counts for nothing yet.
    OverrideAsked {
        /// The override.
        lifted: Signed<Override>,
    },
    /// A second person stands behind it: it counts.
    Seconded {
        /// Which.
        seconding: Signed<Seconding>,
    },
    /// It does not count any more.
    Withdrawn {
        /// Which.
        id: ItemId,
        /// Why.
        reason: String,
    },
}

/// How a blocker was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// What it is about was mended.
    Fixed,
    /// It is not one.
    Rejected,
    /// It waits for the next release, for a reason on record.
    Deferred,
}

/// About what keeps a release from being published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BlockerEvent {
    /// Something keeps releases from being published.
    Opened {
        /// Its number.
        id: ItemId,
        /// What it is, in one line.
        title: String,
        /// Channels it holds up.
        channels: Vec<Channel>,
        /// Where it is worked on.
        issue: String,
    },
    /// It does not any more.
    Closed {
        /// Its number.
        id: ItemId,
        /// How.
        resolution: Resolution,
        /// Why, or by what.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_of_an_event_is_pinned() {
        let event = Event::Train(TrainEvent::StepEnded {
            train: "2026-12-02".parse().unwrap(),
            step: "M1".parse().unwrap(),
            channel: Some(Channel::Lts(2026)),
            result: StepResult::NotApplicable { reason: "no marketplaces".to_owned() },
        });
        let envelope = Envelope {
            seq: 4,
            at: "2026-12-01T10:00:00Z".parse().unwrap(),
            by: "alice".parse().unwrap(),
            body: event,
        };
        let json = crate::canonical::to_text(&envelope).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"at":"2026-12-01T10:00:00Z","body":{"channel":"lts-2026","kind":"step-ended","#,
                r#""result":{"reason":"no marketplaces","result":"not-applicable"},"step":"M1","#,
                r#""topic":"train","train":"2026-12-02"},"by":"alice","seq":4}"#
            )
        );
        assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap(), envelope);
        assert_eq!(envelope.body.kind(), "train.step-ended");
    }

    #[test]
    fn fields_of_a_newer_program_are_refused() {
        let json = r#"{"topic":"blocker","kind":"closed","id":7,"resolution":"fixed","reason":"r"}"#;
        assert!(serde_json::from_str::<Event>(json).is_ok());
        let newer = json.replace(r#""reason""#, r#""since":1,"reason""#);
        assert!(serde_json::from_str::<Event>(&newer).is_err());
    }
}
