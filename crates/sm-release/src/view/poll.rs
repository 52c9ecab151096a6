//! Votes on a release: who said what, what is missing, what it would come to now.

use std::fmt;

use serde::Serialize;
use sm_model::{
    Channel, Handle, Sha256, Timestamp, TrainId, Version,
    statement::{Ballot, Proof, Verdict},
};

use crate::{
    go::{Judgement, judge},
    train::{State, question},
};

/// Votes on a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PollView {
    /// The train.
    pub train: TrainId,
    /// The channel.
    pub channel: Channel,
    /// The version.
    pub version: Version,
    /// What the votes are cast on.
    pub evidence: Sha256,
    /// Whether the evidence is still that.
    pub is_current: bool,
    /// When they may be closed at the earliest.
    pub closes: Timestamp,
    /// What was decided, and until when a Go is good.
    pub decided: Option<(Verdict, Timestamp)>,
    /// Everybody's last word.
    pub votes: Vec<Vote>,
    /// What it comes to.
    pub judgement: Judgement,
}

/// Somebody's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// Who.
    pub voter: Handle,
    /// What.
    pub says: String,
    /// Why.
    pub reason: String,
    /// `signed`, `room` or `word`.
    pub proof: &'static str,
    /// Whether it counts for the quorum.
    pub binding: bool,
    /// The answer to a No-Go that is advice.
    pub answer: Option<String>,
}

impl PollView {
    /// The newest poll of a release. `None` while there is none.
    pub fn of(state: &State, train: TrainId, channel: Channel, now: Timestamp) -> Option<PollView> {
        let (_, release) = state.release(train, channel)?;
        let polled = release.poll()?;
        let decision = polled.decision.as_ref().map(|decision| &decision.statement);
        let case = question::case(state, train, channel, now)?;
        let judgement = judge(&case, decision.map_or(now, |decision| decision.at));
        let mut votes: Vec<Vote> = Vec::new();
        for signed in &polled.ballots {
            let ballot = &signed.statement;
            votes.retain(|vote| vote.voter != ballot.voter);
            let binding = judgement.binding.contains_key(&ballot.voter);
            let answer = polled.answers.get(&ballot.voter).cloned();
            votes.push(vote(ballot, &signed.proof, binding, answer));
        }
        Some(PollView {
            train,
            channel,
            version: polled.poll.version,
            evidence: polled.poll.evidence,
            is_current: question::is_current(state, train, channel),
            closes: polled.poll.closes,
            decided: decision.map(|decision| (decision.verdict, decision.until)),
            votes,
            judgement,
        })
    }
}

fn vote(ballot: &Ballot, proof: &Proof, binding: bool, answer: Option<String>) -> Vote {
    let proof = match proof {
        Proof::Ssh { .. } => "signed",
        Proof::Room { .. } => "room",
        Proof::Word => "word",
    };
    let blockers: Vec<String> = ballot.blockers.iter().map(ToString::to_string).collect();
    let says = match blockers.as_slice() {
        [] => ballot.choice.word().to_owned(),
        _ => format!("{} for {}", ballot.choice.word(), blockers.join(", ")),
    };
    Vote { voter: ballot.voter.clone(), says, reason: ballot.reason.clone(), proof, binding, answer }
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.binding { self.proof } else { "advice" };
        write!(f, "{} {} [{kind}]", self.voter, self.says)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        self.answer.as_ref().map_or(Ok(()), |answer| write!(f, "\n    answered: {answer}"))
    }
}

impl fmt::Display for PollView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.channel, self.version, self.judgement)?;
        self.votes.iter().try_for_each(|vote| write!(f, "\n  {vote}"))?;
        if !self.is_current {
            return f.write_str("\nvoid: the evidence has changed since; open votes anew");
        }
        for (id, why) in &self.judgement.overridden {
            write!(f, "\n  overridden by {id}: {why}")?;
        }
        if let Some((verdict, until)) = self.decided {
            write!(f, "\ndecided: {}", verdict.word())?;
            return if verdict == Verdict::Go { write!(f, ", good until {until}") } else { Ok(()) };
        }
        write!(f, "\nit would be: {}", self.judgement.verdict.word())?;
        let obstacles = &self.judgement.obstacles;
        obstacles.iter().try_for_each(|o| write!(f, "\n  - {}\n      lifted by {}", o.why, o.lift))
    }
}
