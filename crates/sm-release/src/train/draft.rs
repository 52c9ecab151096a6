//! Statements as they are to be signed: filled in from the state, so that nobody types a digest.

use sm_model::{
    Channel, Handle, ItemId, Timestamp, TrainId,
    statement::{Ballot, Choice, Decision, Override, Rule, Seconding, Verdict, Waiver},
    test_report::Scenario,
};

use super::{
    question,
    refusal::{Refusal, Refusals},
    state::State,
};
use crate::{go::GO_HOURS, proof::digest_of};

/// The number that the next blocker, waiver or override gets.
pub fn next_item(state: &State) -> ItemId {
    ItemId(state.n_items + 1)
}

fn no_release(train: TrainId, channel: Channel) -> Refusals {
    let why = format!("train {train} carries no release of {channel}");
    Refusal::new("no-release", why, "naming a channel that it carries: `stationmaster status`").into()
}

fn no_poll(train: TrainId, channel: Channel) -> Refusals {
    let why = format!("votes on {channel} of train {train} are not open");
    Refusal::new("no-poll", why, "opening them: `stationmaster go open`").into()
}

/// What somebody says in a vote.
#[derive(Debug, Clone)]
pub struct Say {
    /// Who votes.
    pub voter: Handle,
    /// What for.
    pub choice: Choice,
    /// Why.
    pub reason: String,
    /// Blockers that a No-Go stands on.
    pub blockers: Vec<ItemId>,
}

/// A ballot on the newest poll of a release.
///
/// # Errors
/// When there is none.
pub fn ballot(
    state: &State,
    train: TrainId,
    channel: Channel,
    say: Say,
    now: Timestamp,
) -> Result<Ballot, Refusals> {
    let (_, release) = state.release(train, channel).ok_or_else(|| no_release(train, channel))?;
    let poll = &release.poll().ok_or_else(|| no_poll(train, channel))?.poll;
    Ok(Ballot {
        format: Ballot::FORMAT,
        train,
        channel,
        version: poll.version,
        evidence: poll.evidence,
        voter: say.voter,
        choice: say.choice,
        reason: say.reason,
        blockers: say.blockers,
        at: now,
    })
}

/// What is to be waived.
#[derive(Debug, Clone)]
pub struct Plea {
    /// The requirement, by the name that the gate gives it.
    pub requirement: String,
    /// Its scenario; words that the gate has may be left out when only one item fits.
    pub scenario: Scenario,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: Handle,
    /// When it ends.
    pub expires: Timestamp,
}

/// A waiver for one item of a gate.
///
/// # Errors
/// When no item of any gate fits, or several do.
pub fn waiver(
    state: &State,
    train: TrainId,
    channel: Channel,
    plea: Plea,
    now: Timestamp,
) -> Result<Waiver, Refusals> {
    let (_, release) = state.release(train, channel).ok_or_else(|| no_release(train, channel))?;
    let scenario = find_scenario(state, train, channel, &plea, now)?;
    let of_board = release.boards.iter().find(|(board, _)| Some(&board.to_string()) == scenario.get("board"));
    let any = of_board.or_else(|| release.boards.iter().next());
    let manifest = any.map(|(_, board)| board.inputs.candidate.manifest).ok_or_else(|| {
        Refusals::from(Refusal::new(
            "no-candidate",
            format!("nothing was composed for {channel} of train {train}: a waiver names a manifest"),
            "composing a candidate",
        ))
    })?;
    Ok(Waiver {
        format: Waiver::FORMAT,
        id: next_item(state),
        manifest,
        requirement: plea.requirement,
        scenario,
        reason: plea.reason,
        by: plea.by,
        at: now,
        expires: plea.expires,
    })
}

/// The whole scenario of the one item that a plea means.
fn find_scenario(
    state: &State,
    train: TrainId,
    channel: Channel,
    plea: &Plea,
    now: Timestamp,
) -> Result<Scenario, Refusals> {
    let contexts = crate::rules::policy::Context::ALL;
    let reports = contexts.iter().filter_map(|c| question::gate(state, train, channel, *c, now));
    let items = reports.flat_map(|report| report.items).filter(|item| item.requirement == plea.requirement);
    let has_all = |scenario: &Scenario| plea.scenario.iter().all(|(k, v)| scenario.get(k) == Some(v));
    let mut fitting: Vec<Scenario> = items.map(|item| item.scenario).filter(has_all).collect();
    fitting.sort();
    fitting.dedup();
    match <[Scenario; 1]>::try_from(fitting) {
        Ok([scenario]) => Ok(scenario),
        Err(none) if none.is_empty() => Err(Refusal::new(
            "nothing-to-waive",
            format!("no gate asks for `{}`", crate::gate::named(&plea.requirement, &plea.scenario)),
            "a name from `stationmaster gate check`",
        )
        .into()),
        Err(several) => {
            let names: Vec<String> =
                several.iter().map(|scenario| crate::gate::named(&plea.requirement, scenario)).collect();
            let why = format!("several items fit: {}; a waiver lifts one", names.join("; "));
            Err(Refusal::new("ambiguous", why, "naming the scenario with `--scenario KEY=VALUE`").into())
        }
    }
}

/// What is to be overridden.
#[derive(Debug, Clone)]
pub struct Lift {
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub by: Handle,
    /// When it ends.
    pub expires: Timestamp,
}

/// An override for the newest poll of a release.
///
/// # Errors
/// When there is none.
pub fn lift(
    state: &State,
    train: TrainId,
    channel: Channel,
    lift: Lift,
    now: Timestamp,
) -> Result<Override, Refusals> {
    let (_, release) = state.release(train, channel).ok_or_else(|| no_release(train, channel))?;
    let poll = &release.poll().ok_or_else(|| no_poll(train, channel))?.poll;
    Ok(Override {
        format: Override::FORMAT,
        id: next_item(state),
        train,
        channel,
        evidence: poll.evidence,
        rule: lift.rule,
        reason: lift.reason,
        by: lift.by,
        at: now,
        expires: lift.expires,
    })
}

/// A second person's statement about a waiver or override.
///
/// # Errors
/// When there is none of that number.
pub fn seconding(state: &State, id: ItemId, by: Handle, now: Timestamp) -> Result<Seconding, Refusals> {
    let waiver = state.waivers.get(&id).map(|waiver| digest_of(&waiver.asked.statement));
    let lifted = state.overrides.get(&id).map(|lifted| digest_of(&lifted.asked.statement));
    let statement = waiver.or(lifted).ok_or_else(|| {
        let why = format!("there is no waiver or override {id}");
        Refusals::from(Refusal::new("no-item", why, "a number from `stationmaster status`"))
    })?;
    Ok(Seconding { id, statement, by, at: now })
}

/// The decision that the newest poll comes to at an instant.
///
/// # Errors
/// When there is no poll.
pub fn decision(
    state: &State,
    train: TrainId,
    channel: Channel,
    by: Handle,
    now: Timestamp,
) -> Result<Decision, Refusals> {
    let case = question::case(state, train, channel, now).ok_or_else(|| no_poll(train, channel))?;
    Ok(decision_of(&case, by, now))
}

/// The decision that a case comes to at an instant.
pub fn decision_of(case: &crate::go::Case, by: Handle, now: Timestamp) -> Decision {
    let judgement = crate::go::judge(case, now);
    let good = if judgement.verdict == Verdict::Go { GO_HOURS * 60 * 60 } else { 0 };
    let mut overrides: Vec<ItemId> = judgement.overridden.iter().map(|(id, _)| *id).collect();
    overrides.sort();
    overrides.dedup();
    Decision {
        format: Decision::FORMAT,
        train: case.poll.train,
        channel: case.poll.channel,
        version: case.poll.version,
        evidence: case.poll.evidence,
        case: digest_of(case),
        ballots: case.ballots.iter().map(digest_of).collect(),
        overrides,
        verdict: judgement.verdict,
        reasons: judgement.obstacles.into_iter().map(|obstacle| obstacle.why).collect(),
        by,
        at: now,
        until: Timestamp::from_unix_secs(now.unix_secs().saturating_add(good)).unwrap_or(now),
    }
}
