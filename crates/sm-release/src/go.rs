//! Go/no-go: what the ballots on one release add up to, recomputable by anyone from the same documents.
//!
//! More than half of the active voters say Go, three at least, and build, test and security each say it; votes are open for a
//! minimum time; a No-Go vetoes as long as a blocker it stands on is open; advice is counted apart, and a No-Go of advice is
//! answered. Ballots on other evidence than the poll's are worth nothing.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sm_model::{
    Date, Handle, ItemId, Role, Timestamp,
    statement::{Ballot, Choice, Poll, Rule, Signed, Verdict, Voter},
    train::PlannedRelease,
};

use crate::gate::facts::Finding;

/// Votes for Go at least, however few the voters are.
pub const MIN_GO: usize = 3;
/// Roles of which each must say Go.
pub const ROLES: [Role; 3] = [Role::Build, Role::Test, Role::Security];
/// Hours that a Go is good for.
pub const GO_HOURS: i64 = 72;

/// Everything that a decision rests on, beside the evidence and the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the release is.
    pub plan: PlannedRelease,
    /// Day whose rules hold for it.
    pub subject_day: Date,
    /// Facts about the release as a whole, as they were.
    pub facts: BTreeMap<String, Finding>,
    /// The question.
    pub poll: Poll,
    /// Every ballot cast on it, in order. Their proofs were checked when they were cast.
    pub ballots: Vec<Signed<Ballot>>,
    /// Advisory voters whose No-Go was answered, with the answer.
    pub answers: BTreeMap<Handle, String>,
    /// Blockers of this channel that are open.
    pub open_blockers: Vec<ItemId>,
    /// Rules that two people lifted for this evidence, with the override's number.
    pub lifted: BTreeMap<Rule, ItemId>,
    /// What keeps the gate closed.
    pub gate: Vec<String>,
}

/// Why it is not a Go, and what would lift that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// The rule, where it is one that an override can lift.
    pub rule: Option<Rule>,
    /// What is in the way.
    pub why: String,
    /// Who or what lifts it.
    pub lift: String,
}

/// What the ballots add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What would be decided now.
    pub verdict: Verdict,
    /// Why not Go.
    pub obstacles: Vec<Obstacle>,
    /// Obstacles that an override lifts, for everybody to see.
    pub overridden: Vec<(ItemId, String)>,
    /// Voters with weight, by choice.
    pub binding: BTreeMap<Handle, Choice>,
    /// Other people, by choice.
    pub advisory: BTreeMap<Handle, Choice>,
    /// Active voters.
    pub n_active: usize,
}

impl Judgement {
    /// Voters with weight who chose that.
    pub fn n_binding(&self, choice: Choice) -> usize {
        self.binding.values().filter(|chosen| **chosen == choice).count()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [go, no_go] = [Choice::Go, Choice::NoGo].map(|choice| self.n_binding(choice));
        write!(f, "{go} Go, {no_go} No-Go of {} active voters", self.n_active)?;
        let advice = |choice| self.advisory.values().filter(|chosen| **chosen == choice).count();
        match (advice(Choice::Go), advice(Choice::NoGo)) {
            (0, 0) => Ok(()),
            (go, no_go) => write!(f, "; advice: {go} Go, {no_go} No-Go"),
        }
    }
}

/// Judges.
pub fn judge(case: &Case, now: Timestamp) -> Judgement {
    let count = Count::of(case);
    let all = [
        gate(case),
        vetoes(case, &count),
        open_time(case, now),
        quorum(&count),
        role_cover(&count),
        objections(case, &count),
    ];
    let (mut obstacles, mut overridden) = (Vec::new(), Vec::new());
    for obstacle in all.into_iter().flatten() {
        match obstacle.rule.and_then(|rule| case.lifted.get(&rule)) {
            Some(id) => overridden.push((*id, obstacle.why)),
            None => obstacles.push(obstacle),
        }
    }
    Judgement {
        verdict: verdict(&obstacles),
        obstacles,
        overridden,
        binding: count.choices(true),
        advisory: count.choices(false),
        n_active: count.n_active,
    }
}

fn verdict(obstacles: &[Obstacle]) -> Verdict {
    let says_no = |obstacle: &Obstacle| matches!(obstacle.rule, None | Some(Rule::Veto));
    if obstacles.is_empty() {
        Verdict::Go
    } else if obstacles.iter().any(says_no) {
        Verdict::NoGo
    } else {
        Verdict::NoDecision
    }
}

/// The last ballot of everybody, those on other evidence left out.
struct Count<'a> {
    ballots: BTreeMap<&'a Handle, (&'a Ballot, Option<&'a Voter>)>,
    n_active: usize,
}

impl<'a> Count<'a> {
    fn of(case: &'a Case) -> Self {
        let valid = case.ballots.iter().map(|signed| &signed.statement);
        let valid = valid.filter(|ballot| ballot.evidence == case.poll.evidence);
        let voter = |handle: &Handle| case.poll.voters.iter().find(|voter| voter.handle == *handle);
        let ballots = valid.map(|ballot| (&ballot.voter, (ballot, voter(&ballot.voter)))).collect();
        Count { ballots, n_active: case.poll.voters.iter().filter(|voter| voter.active).count() }
    }

    fn choices(&self, binding: bool) -> BTreeMap<Handle, Choice> {
        let of_kind = self.ballots.iter().filter(|(_, (_, voter))| voter.is_some() == binding);
        of_kind.map(|(handle, (ballot, _))| ((*handle).clone(), ballot.choice)).collect()
    }

    fn goes(&self) -> impl Iterator<Item = &'a Voter> {
        let goes = self.ballots.values().filter(|(ballot, _)| ballot.choice == Choice::Go);
        goes.filter_map(|(_, voter)| *voter)
    }
}

fn obstacle(rule: Option<Rule>, why: String, lift: impl Into<String>) -> Obstacle {
    Obstacle { rule, why, lift: lift.into() }
}

fn gate(case: &Case) -> Vec<Obstacle> {
    let lift = "what the gate says: `stationmaster gate check`";
    case.gate.iter().map(|why| obstacle(None, why.clone(), lift)).collect()
}

fn vetoes(case: &Case, count: &Count<'_>) -> Vec<Obstacle> {
    let no_goes = count.ballots.values().filter(|(b, voter)| b.choice == Choice::NoGo && voter.is_some());
    let standing = no_goes.filter_map(|(ballot, _)| {
        let open: Vec<String> = ballot
            .blockers
            .iter()
            .filter(|id| case.open_blockers.contains(id))
            .map(ToString::to_string)
            .collect();
        // One that names no blocker stands until its voter votes anew.
        (!open.is_empty() || ballot.blockers.is_empty()).then_some((ballot, open))
    });
    let told = standing.map(|(ballot, open)| {
        let (voter, reason, open) = (&ballot.voter, &ballot.reason, open.join(", "));
        let why = if open.is_empty() { reason.clone() } else { format!("{reason} ({open})") };
        let closing = if open.is_empty() { String::new() } else { format!("closing {open}, or ") };
        obstacle(
            Some(Rule::Veto),
            format!("{voter} says No-Go: {why}"),
            format!("{closing}{voter} voting anew"),
        )
    });
    told.collect()
}

fn open_time(case: &Case, now: Timestamp) -> Vec<Obstacle> {
    let closes = case.poll.closes;
    let early = now < closes;
    early
        .then(|| {
            obstacle(
                Some(Rule::OpenTime),
                format!("votes are open until {closes} at least"),
                "waiting until then",
            )
        })
        .into_iter()
        .collect()
}

fn quorum(count: &Count<'_>) -> Vec<Obstacle> {
    let n_go = count.goes().filter(|voter| voter.active).count();
    let needed = MIN_GO.max(count.n_active / 2 + 1);
    (n_go < needed)
        .then(|| {
            let why = format!("{n_go} of {} active voters say Go, {needed} are needed", count.n_active);
            obstacle(Some(Rule::Quorum), why, "more active voters saying Go")
        })
        .into_iter()
        .collect()
}

fn role_cover(count: &Count<'_>) -> Vec<Obstacle> {
    let missing = ROLES.into_iter().filter(|role| !count.goes().any(|voter| voter.roles.contains(role)));
    let told = missing.map(|role| {
        obstacle(
            Some(Rule::RoleCover),
            format!("nobody of {role} says Go"),
            format!("a Go of somebody of {role}"),
        )
    });
    told.collect()
}

fn objections(case: &Case, count: &Count<'_>) -> Vec<Obstacle> {
    let advice = count.ballots.values().filter(|(b, voter)| b.choice == Choice::NoGo && voter.is_none());
    let open = advice.filter(|(ballot, _)| !case.answers.contains_key(&ballot.voter));
    let told = open.map(|(ballot, _)| {
        obstacle(
            Some(Rule::Objections),
            format!("{} advises No-Go and has no answer: {}", ballot.voter, ballot.reason),
            "an answer of a voter: `stationmaster go answer`",
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm_model::{
        Channel, Sha256,
        statement::Proof,
        train::{Move, Urgency},
    };

    const EVIDENCE: Sha256 = Sha256([1; 32]);

    fn at(text: &str) -> Timestamp {
        format!("2026-12-02T{text}:00Z").parse().unwrap()
    }

    fn voter(name: &str, roles: &[Role]) -> Voter {
        Voter { handle: name.parse().unwrap(), roles: roles.to_vec(), active: true, keys: vec![] }
    }

    fn case() -> Case {
        let poll = Poll {
            train: "2026-12-02".parse().unwrap(),
            channel: Channel::Alpha,
            version: "4905.0.0".parse().unwrap(),
            evidence: EVIDENCE,
            opened: at("09:00"),
            closes: at("12:00"),
            urgency: Urgency::Normal,
            voters: vec![
                voter("alice", &[Role::Build]),
                voter("bob", &[Role::Test]),
                voter("carol", &[Role::Security]),
                voter("dan", &[]),
            ],
        };
        Case {
            plan: PlannedRelease {
                channel: Channel::Alpha,
                version: poll.version,
                previous: None,
                wanted: Move::NewBranch,
                why: vec![],
            },
            subject_day: "2026-12-02".parse().unwrap(),
            facts: [].into(),
            poll,
            ballots: vec![],
            answers: [].into(),
            open_blockers: vec![],
            lifted: [].into(),
            gate: vec![],
        }
    }

    fn ballot(voter: &str, choice: Choice, evidence: Sha256) -> Signed<Ballot> {
        let statement = Ballot {
            format: Ballot::FORMAT,
            train: "2026-12-02".parse().unwrap(),
            channel: Channel::Alpha,
            version: "4905.0.0".parse().unwrap(),
            evidence,
            voter: voter.parse().unwrap(),
            choice,
            reason: "because".to_owned(),
            blockers: if choice == Choice::NoGo { vec![ItemId(4)] } else { vec![] },
            at: at("10:00"),
        };
        Signed { statement, proof: Proof::Word }
    }

    fn with(names: &[(&str, Choice)]) -> Case {
        let ballots = names.iter().map(|(name, choice)| ballot(name, *choice, EVIDENCE)).collect();
        Case { ballots, ..case() }
    }

    fn rules(judgement: &Judgement) -> Vec<Option<Rule>> {
        judgement.obstacles.iter().map(|obstacle| obstacle.rule).collect()
    }

    const ALL_GO: [(&str, Choice); 3] = [("alice", Choice::Go), ("bob", Choice::Go), ("carol", Choice::Go)];

    #[test]
    fn three_of_four_with_every_role_after_the_minimum_time_is_a_go() {
        assert_eq!(judge(&with(&ALL_GO), at("12:00")).verdict, Verdict::Go);
        let early = judge(&with(&ALL_GO), at("11:59"));
        assert_eq!((early.verdict, rules(&early)), (Verdict::NoDecision, vec![Some(Rule::OpenTime)]));
    }

    #[test]
    fn half_is_not_more_than_half_and_every_role_counts() {
        let half = judge(&with(&ALL_GO[..2]), at("12:00"));
        assert_eq!(rules(&half), [Some(Rule::Quorum), Some(Rule::RoleCover)]);
        let no_security = [("alice", Choice::Go), ("bob", Choice::Go), ("dan", Choice::Go)];
        let judgement = judge(&with(&no_security), at("12:00"));
        assert_eq!(judgement.obstacles[0].why, "nobody of security says Go");
        assert_eq!(judgement.verdict, Verdict::NoDecision);
    }

    #[test]
    fn three_are_needed_even_of_two() {
        let mut small = with(&ALL_GO[..2]);
        small.poll.voters.truncate(2);
        small.poll.voters[1].roles.push(Role::Security);
        assert_eq!(rules(&judge(&small, at("12:00"))), [Some(Rule::Quorum)]);
    }

    #[test]
    fn a_no_go_vetoes_until_its_blocker_is_closed() {
        let mut case = with(&[ALL_GO[0], ALL_GO[1], ALL_GO[2], ("dan", Choice::NoGo)]);
        case.open_blockers = vec![ItemId(4)];
        let judgement = judge(&case, at("12:00"));
        assert_eq!((judgement.verdict, rules(&judgement)), (Verdict::NoGo, vec![Some(Rule::Veto)]));
        case.open_blockers.clear();
        assert_eq!(judge(&case, at("12:00")).verdict, Verdict::Go);
    }

    #[test]
    fn advice_is_counted_apart_and_a_no_go_of_advice_wants_an_answer() {
        let mut case = with(&[ALL_GO[0], ALL_GO[1], ALL_GO[2], ("zoe", Choice::NoGo), ("yan", Choice::Go)]);
        let judgement = judge(&case, at("12:00"));
        assert_eq!(rules(&judgement), [Some(Rule::Objections)]);
        assert_eq!(judgement.to_string(), "3 Go, 0 No-Go of 4 active voters; advice: 1 Go, 1 No-Go");
        case.answers.insert("zoe".parse().unwrap(), "it is in the notes".to_owned());
        assert_eq!(judge(&case, at("12:00")).verdict, Verdict::Go);
    }

    #[test]
    fn an_override_lifts_its_rule_and_stays_visible_and_no_override_opens_the_gate() {
        let mut case = with(&ALL_GO[..2]);
        case.lifted = [(Rule::Quorum, ItemId(8)), (Rule::RoleCover, ItemId(9))].into();
        let judgement = judge(&case, at("12:00"));
        assert_eq!(judgement.verdict, Verdict::Go);
        assert_eq!(judgement.overridden.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [8, 9]);
        case.gate.push("boot.uefi failed".to_owned());
        case.lifted.extend([Rule::OpenTime, Rule::Veto, Rule::Objections].map(|rule| (rule, ItemId(10))));
        assert_eq!(judge(&case, at("12:00")).verdict, Verdict::NoGo);
    }

    #[test]
    fn the_last_ballot_counts() {
        let mut case = with(&[ALL_GO[0], ALL_GO[1], ALL_GO[2], ("alice", Choice::Abstain)]);
        assert_eq!(judge(&case, at("12:00")).verdict, Verdict::NoDecision);
        case.ballots.push(ballot("alice", Choice::Go, EVIDENCE));
        assert_eq!(judge(&case, at("12:00")).verdict, Verdict::Go);
    }

    fn any_ballots() -> impl Strategy<Value = Vec<Signed<Ballot>>> {
        let name = prop::sample::select(vec!["alice", "bob", "carol", "dan", "zoe"]);
        let choice = prop::sample::select(vec![Choice::Go, Choice::NoGo, Choice::Abstain]);
        let one = (name, choice, 1..3_u8).prop_map(|(name, choice, n)| ballot(name, choice, Sha256([n; 32])));
        prop::collection::vec(one, 0..10)
    }

    proptest! {
        #[test]
        fn ballots_on_other_evidence_never_count(ballots in any_ballots()) {
            let case = Case { ballots, open_blockers: vec![ItemId(4)], ..case() };
            let mut only = case.clone();
            only.ballots.retain(|signed| signed.statement.evidence == EVIDENCE);
            prop_assert_eq!(judge(&case, at("12:00")), judge(&only, at("12:00")));
            let mut moved = case.clone();
            moved.poll.evidence = Sha256([9; 32]);
            prop_assert!(judge(&moved, at("12:00")).binding.is_empty());
        }

        #[test]
        fn a_go_has_more_than_half_three_at_least_every_role_and_no_open_veto(ballots in any_ballots()) {
            let case = Case { ballots, open_blockers: vec![ItemId(4)], ..case() };
            let judgement = judge(&case, at("12:00"));
            if judgement.verdict == Verdict::Go {
                prop_assert!(judgement.n_binding(Choice::Go) >= 3);
                prop_assert!(judgement.n_binding(Choice::NoGo) == 0);
                prop_assert!(judgement.advisory.values().all(|choice| *choice != Choice::NoGo));
                for name in ["alice", "bob", "carol"] {
                    prop_assert_eq!(judgement.binding[&name.parse::<Handle>().unwrap()], Choice::Go);
                }
            }
        }
    }
}
