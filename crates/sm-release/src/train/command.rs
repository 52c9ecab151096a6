//! What people and programs can ask for.

use sm_model::{
    Channel, Date, Handle, ItemId, Released, StepId, TrainId,
    evidence::RuleFile,
    release_event::{EvidenceEvent, Resolution, StepResult},
    statement::{Ballot, Decision, Override, Seconding, Signed, Waiver},
    train::{Move, Team, Urgency},
};

/// Which release of which train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
}

/// A wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put a file of rules in force.
    Adopt {
        /// Which file.
        file: RuleFile,
        /// Its text.
        text: String,
    },
    /// Take releases from before this log into the history.
    ImportHistory {
        /// The releases.
        releases: Vec<Released>,
    },
    /// Close days.
    Freeze {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
        /// Why.
        reason: String,
    },
    /// Open the days of a freeze again.
    Thaw {
        /// Its first day.
        from: Date,
        /// Why.
        reason: String,
    },
    /// Put a due day to another day.
    Move {
        /// Whose.
        channel: Channel,
        /// Day that the cadence gives.
        from: Date,
        /// Day it is to be on.
        to: Date,
        /// Why.
        reason: String,
    },
    /// Ask for leave to publish on a closed day.
    AskExpedite {
        /// The day.
        day: Date,
        /// Why it cannot wait.
        reason: String,
    },
    /// Give it, as a second person.
    GrantExpedite {
        /// The day.
        day: Date,
    },
    /// Open a train.
    Open {
        /// The day it is to be published.
        day: Date,
        /// Whether it keeps to the cadence.
        urgency: Urgency,
        /// Who leads it.
        coordinator: Handle,
        /// Who does what else.
        team: Team,
        /// Channels, with what each is to get; `None` leaves it to the rules.
        wanted: Vec<(Channel, Option<Move>)>,
    },
    /// Begin a step.
    BeginStep {
        /// The train.
        train: TrainId,
        /// The step.
        step: StepId,
        /// The channel, for steps that each channel has.
        channel: Option<Channel>,
    },
    /// End a step.
    EndStep {
        /// The train.
        train: TrainId,
        /// The step.
        step: StepId,
        /// The channel, for steps that each channel has.
        channel: Option<Channel>,
        /// How.
        result: StepResult,
    },
    /// Put a train to another day.
    Slip {
        /// The train.
        train: TrainId,
        /// The day; `None` for the next open one.
        to: Option<Date>,
        /// Why.
        reason: String,
    },
    /// Take one channel off a train.
    Drop {
        /// Which release.
        which: Which,
        /// Why.
        reason: String,
    },
    /// Do not let a train go at all.
    Cancel {
        /// The train.
        train: TrainId,
        /// Why.
        reason: String,
    },
    /// Say that nothing is left to do.
    Close {
        /// The train.
        train: TrainId,
    },
    /// Record what a release is judged by.
    Record(EvidenceEvent),
    /// Open votes.
    OpenPoll(Which),
    /// Vote.
    Cast(Signed<Ballot>),
    /// Say where in a chat room votes are asked for.
    Announce {
        /// Which release.
        which: Which,
        /// The room.
        room: String,
        /// The post's id there.
        event_id: String,
    },
    /// Answer a No-Go of advice.
    Answer {
        /// Which release.
        which: Which,
        /// Who objected.
        voter: Handle,
        /// The answer.
        answer: String,
    },
    /// Close votes.
    Decide(Signed<Decision>),
    /// Ask for a waiver.
    AskWaiver(Signed<Waiver>),
    /// Ask for an override.
    AskOverride(Signed<Override>),
    /// Stand behind a waiver or an override.
    Second(Signed<Seconding>),
    /// Take a waiver or an override back.
    Withdraw {
        /// Its number.
        id: ItemId,
        /// Why.
        reason: String,
    },
    /// Open a blocker.
    OpenBlocker {
        /// What it is.
        title: String,
        /// Channels it holds up.
        channels: Vec<Channel>,
        /// Where it is worked on.
        issue: String,
    },
    /// Close a blocker.
    CloseBlocker {
        /// Its number.
        id: ItemId,
        /// How.
        resolution: Resolution,
        /// Why, or by what.
        reason: String,
    },
    /// Acknowledge the point of no return.
    Acknowledge(Which),
    /// Begin to publish, or go on where it was.
    BeginPublish(Which),
    /// Say that it is public.
    EndPublish(Which),
}
