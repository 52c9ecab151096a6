//! Go/no-go: opening votes, voting, answering, deciding.

use sm_model::{
    Handle, Timestamp,
    release_event::{Event, VoteEvent},
    statement::{Ballot, Choice, Decision, Poll, Proof, Signed, Verdict},
};

use super::{
    Checks, Phase, Refusal, Refusals, Release, State, Train, Which,
    evidence::no_poll,
    release_of, require_reason,
    steps::{automation, waiting_for},
    ticked,
};
use crate::{
    proof::{self, PublicKey, Strength},
    steps::{self, How},
    train::{draft, question, state::PollState},
};

/// Seconds that a statement may be older than its recording: the time a person needs to touch a key.
const MAX_AGE_SECS: i64 = 15 * 60;

pub(super) fn open(state: &State, which: Which, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let (train, release) = release_of(state, which)?;
    let Which { train: id, channel } = which;
    let mut checks = Checks::default();
    let bundle = state.evidence(id, channel);
    checks.require(
        bundle.is_some(),
        "no-candidate",
        || format!("nothing was composed for {channel} yet"),
        "composing a candidate",
    );
    require_steps(&mut checks, train, channel, "G1");
    checks.require(
        release.phase == Phase::Running,
        "publishing",
        || "publishing has begun".to_owned(),
        "finishing it",
    );
    let same = release.poll().filter(|poll| Some(poll.poll.evidence) == bundle && poll.decision.is_none());
    checks.require(
        same.is_none(),
        "open-already",
        || "votes on this evidence are open already".to_owned(),
        "voting: `stationmaster vote go`",
    );
    checks.require(
        state.rules.maintainers.iter().next().is_some(),
        "no-voters",
        || "nobody can vote: `maintainers.toml` names nobody".to_owned(),
        "a `maintainers.toml` beside the policy",
    );
    let voting = state.rules.policy.voting(channel, &train.urgency);
    let closes = now.unix_secs().saturating_add(voting.open_minutes * 60);
    let poll = Poll {
        train: id,
        channel,
        version: release.plan.version,
        evidence: bundle.unwrap_or(sm_model::Sha256([0; 32])),
        opened: now,
        closes: Timestamp::from_unix_secs(closes).unwrap_or(now),
        urgency: train.urgency.clone(),
        voters: state.rules.maintainers.voters(),
    };
    let evidence = format!("evidence {:.12}, until {}", poll.evidence.to_string(), poll.closes);
    let ticked = ticked(id, "G1", Some(channel), evidence);
    checks.into_result(vec![Event::Vote(VoteEvent::Opened { poll }), ticked])
}

/// Steps that must be settled before an automatic one.
pub(super) fn require_steps(checks: &mut Checks, train: &Train, channel: sm_model::Channel, id: &str) {
    let kind = steps::TABLE.iter().find(|kind| kind.id == id);
    let open = kind.map(|kind| waiting_for(train, kind, Some(channel))).unwrap_or_default();
    for step in open {
        let known = steps::TABLE.iter().find(|kind| step.starts_with(kind.id) && step.len() == kind.id.len());
        let title = known.map_or("", |kind| kind.title);
        let lift = match known {
            Some(kind) if kind.how == How::Automatic => automation(kind).to_owned(),
            _ => format!(
                "doing it (`stationmaster release step done {step}`), or saying why it does not apply"
            ),
        };
        checks.push(Refusal::new("steps-before", format!("step {step} is open: {title}"), lift));
    }
}

fn newest_poll(release: &Release, which: Which) -> Result<&PollState, Refusals> {
    release.poll().ok_or_else(|| no_poll(which))
}

pub(super) fn cast(
    state: &State,
    by: &Handle,
    signed: Signed<Ballot>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusals> {
    let ballot = &signed.statement;
    let which = Which { train: ballot.train, channel: ballot.channel };
    let (_, release) = release_of(state, which)?;
    let poll = newest_poll(release, which)?;
    let mut checks = Checks::default();
    fresh(&mut checks, ballot.at, now);
    on_this_evidence(&mut checks, state, poll, ballot);
    checks.require(
        poll.decision.is_none(),
        "late",
        || "these votes are closed".to_owned(),
        "opening votes anew, if there is new evidence",
    );
    let voter = poll.poll.voters.iter().find(|voter| voter.handle == ballot.voter);
    match voter {
        Some(voter) => binding(&mut checks, state, voter, &signed, poll),
        None => advisory(&mut checks, by, &signed),
    }
    no_go(&mut checks, state, ballot, voter.is_some());
    let is_open = poll.decision.is_none() && ballot.evidence == poll.poll.evidence;
    let last = poll.ballots.iter().rfind(|other| is_open && other.statement.voter == ballot.voter);
    not_weaker(&mut checks, last, &signed);
    checks.require(
        last.is_none_or(|last| !says_the_same(&last.statement, ballot)),
        "voted-already",
        || format!("{} has said exactly this already", ballot.voter),
        "nothing: the vote counts",
    );
    checks.into_result(vec![Event::Vote(VoteEvent::Cast { ballot: signed })])
}

/// A vote that is better known to be somebody's is replaced only by one that is known as well.
fn not_weaker(checks: &mut Checks, last: Option<&Signed<Ballot>>, signed: &Signed<Ballot>) {
    checks.require(
        last.is_none_or(|last| proof::claimed(&last.proof) <= proof::claimed(&signed.proof)),
        "weaker",
        || format!("{} has signed a vote: what is not signed cannot take its place", signed.statement.voter),
        "a signed vote: `stationmaster vote`",
    );
}

fn says_the_same(a: &Ballot, b: &Ballot) -> bool {
    (a.choice, a.evidence, &a.reason, &a.blockers) == (b.choice, b.evidence, &b.reason, &b.blockers)
}

/// Whether a statement was made just now.
pub(super) fn fresh(checks: &mut Checks, at: Timestamp, now: Timestamp) {
    checks.require(
        (0..=MAX_AGE_SECS).contains(&now.secs_since(at)),
        "not-fresh",
        || format!("the statement is dated {at}, it is {now}"),
        "making it anew",
    );
}

fn on_this_evidence(checks: &mut Checks, state: &State, poll: &PollState, ballot: &Ballot) {
    let Poll { train, channel, version, evidence, .. } = &poll.poll;
    checks.require(
        ballot.evidence == *evidence && ballot.version == *version && ballot.format == Ballot::FORMAT,
        "stale-ballot",
        || {
            format!(
                "the ballot is about the evidence {:.12}, votes are open on {:.12}",
                ballot.evidence.to_string(),
                evidence.to_string()
            )
        },
        "voting anew: `stationmaster vote`",
    );
    checks.require(
        state.evidence(*train, *channel) == Some(*evidence),
        "stale-evidence",
        || "the evidence has changed since votes were opened".to_owned(),
        "opening votes anew: `stationmaster go open`",
    );
}

fn binding(
    checks: &mut Checks,
    state: &State,
    voter: &sm_model::statement::Voter,
    signed: &Signed<Ballot>,
    poll: &PollState,
) {
    let keys: Vec<PublicKey> = voter.keys.iter().filter_map(|text| PublicKey::parse(text).ok()).collect();
    let needed = state.rules.policy.voting(poll.poll.channel, &poll.poll.urgency).proof;
    require_strength(checks, proof::check(signed, &keys), needed, &voter.handle);
}

/// Whether it is known well enough who said something.
pub(super) fn require_strength(
    checks: &mut Checks,
    strength: Result<Strength, proof::ProofError>,
    needed: Strength,
    who: &Handle,
) {
    match strength {
        Err(error) => {
            checks.push(Refusal::new(
                "bad-signature",
                error.to_string(),
                format!("a signature with a key of {who}"),
            ));
        }
        Ok(strength) => checks.require(
            strength >= needed,
            "not-signed",
            || format!("the word of {who} counts when it is signed"),
            format!("a signature with a key of {who}: `--key FILE`, or an agent that has it"),
        ),
    }
}

/// Advice has no weight and needs no key; but nobody gives it in somebody else's name.
fn advisory(checks: &mut Checks, by: &Handle, signed: &Signed<Ballot>) {
    let voter = &signed.statement.voter;
    match &signed.proof {
        Proof::Word => checks.require(
            by == voter,
            "somebody-else",
            || format!("{by} cannot speak for {voter}"),
            format!("{voter} saying it"),
        ),
        Proof::Room { .. } => {}
        Proof::Ssh { .. } => checks.push(Refusal::new(
            "unknown-key",
            format!("{voter} is not among the voters, so that nobody knows a key of theirs"),
            "leaving out the key: it counts as advice",
        )),
    }
}

/// A No-Go says why and names something that can be mended.
fn no_go(checks: &mut Checks, state: &State, ballot: &Ballot, binding: bool) {
    if ballot.choice != Choice::NoGo {
        return;
    }
    require_reason(checks, &ballot.reason, 1);
    checks.require(
        !binding || !ballot.blockers.is_empty(),
        "no-blocker",
        || "a No-Go names a blocker, or opens one".to_owned(),
        "`--blocker #N`, or `--open-blocker TITLE`",
    );
    let open = state.open_blockers(ballot.channel);
    for id in &ballot.blockers {
        checks.require(
            open.contains(id),
            "blocker-closed",
            || format!("{id} is no open blocker of {}", ballot.channel),
            "a blocker that is open: `stationmaster status`",
        );
    }
}

pub(super) fn announce(
    state: &State,
    which: Which,
    room: String,
    event_id: String,
) -> Result<Vec<Event>, Refusals> {
    let (_, release) = release_of(state, which)?;
    let poll = newest_poll(release, which)?;
    let mut checks = Checks::default();
    checks.require(
        poll.announced.is_none(),
        "announced",
        || "these votes are asked for in a room already".to_owned(),
        "nothing: they are read there",
    );
    let Which { train, channel } = which;
    let evidence = poll.poll.evidence;
    checks.into_result(vec![Event::Vote(VoteEvent::Announced { train, channel, evidence, room, event_id })])
}

pub(super) fn answer(
    state: &State,
    by: &Handle,
    which: Which,
    voter: Handle,
    answer: String,
) -> Result<Vec<Event>, Refusals> {
    let (_, release) = release_of(state, which)?;
    let poll = newest_poll(release, which)?;
    let mut checks = Checks::default();
    require_reason(&mut checks, &answer, 1);
    checks.require(
        poll.poll.voters.iter().any(|voter| voter.handle == *by),
        "no-voter",
        || format!("{by} does not vote with weight"),
        "a voter with weight answering",
    );
    let objects = poll.ballots.iter().rfind(|ballot| ballot.statement.voter == voter);
    checks.require(
        objects.is_some_and(|ballot| ballot.statement.choice == Choice::NoGo),
        "no-objection",
        || format!("{voter} does not object"),
        "the name of somebody who does: `stationmaster go status`",
    );
    let is_so = poll.answers.get(&voter) == Some(&answer);
    let Which { train, channel } = which;
    let answered = Event::Vote(VoteEvent::ObjectionAnswered { train, channel, voter, answer });
    checks.into_result(if is_so { vec![] } else { vec![answered] })
}

pub(super) fn close(state: &State, signed: Signed<Decision>, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let decision = &signed.statement;
    let which = Which { train: decision.train, channel: decision.channel };
    let (_, release) = release_of(state, which)?;
    let poll = newest_poll(release, which)?;
    let mut checks = Checks::default();
    fresh(&mut checks, decision.at, now);
    checks.require(
        poll.decision.is_none(),
        "decided",
        || "these votes are closed".to_owned(),
        "opening votes anew, if there is new evidence",
    );
    checks.require(
        question::is_current(state, which.train, which.channel),
        "stale-evidence",
        || "the evidence has changed since votes were opened".to_owned(),
        "opening votes anew: `stationmaster go open`",
    );
    signed_by_voter(&mut checks, poll, &signed);
    let computed = draft::decision(state, which.train, which.channel, decision.by.clone(), decision.at)?;
    checks.require(
        computed == *decision,
        "other-decision",
        || format!("the votes come to {}, not to {}", computed.verdict.word(), decision.verdict.word()),
        "closing with what the votes come to",
    );
    undecided(&mut checks, state, which, decision, now);
    checks.into_result(vec![]).map(|_: Vec<Event>| decided(signed))
}

fn signed_by_voter(checks: &mut Checks, poll: &PollState, signed: &Signed<Decision>) {
    let by = &signed.statement.by;
    match poll.poll.voters.iter().find(|voter| voter.handle == *by) {
        None => checks.push(Refusal::new(
            "no-voter",
            format!("{by} does not vote with weight"),
            "a voter with weight closing the votes",
        )),
        Some(voter) => {
            let keys: Vec<PublicKey> =
                voter.keys.iter().filter_map(|text| PublicKey::parse(text).ok()).collect();
            require_strength(checks, proof::check(signed, &keys), Strength::Signature, by);
        }
    }
}

/// Votes that have not come to anything stay open, and what is missing is told.
fn undecided(checks: &mut Checks, state: &State, which: Which, decision: &Decision, now: Timestamp) {
    if decision.verdict != Verdict::NoDecision {
        return;
    }
    let judgement = question::judgement(state, which.train, which.channel, now);
    for obstacle in judgement.into_iter().flat_map(|judgement| judgement.obstacles) {
        let code = obstacle.rule.map_or("gate", sm_model::statement::Rule::word);
        checks.push(Refusal::new(code, obstacle.why, obstacle.lift));
    }
}

fn decided(signed: Signed<Decision>) -> Vec<Event> {
    let decision = &signed.statement;
    let (train, channel) = (decision.train, Some(decision.channel));
    let mut events = Vec::new();
    if decision.verdict == Verdict::Go {
        let n_ballots = decision.ballots.len();
        events.push(ticked(train, "G2", channel, format!("{n_ballots} ballots")));
        events.push(ticked(train, "G3", channel, format!("Go until {}", decision.until)));
    }
    events.insert(0, Event::Vote(VoteEvent::Decided { decision: signed }));
    events
}
