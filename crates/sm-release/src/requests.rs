//! Package requests: what was asked, what it costs, who is for it, and whether that is enough. A fold over the log, like everything.
//!
//! Packages are taken in when their cost was measured, three maintainers and more than are against it are for it, and nobody who
//! speaks for security is against it. Everybody else's votes are shown and weigh nothing.

use std::collections::BTreeMap;

use serde::Serialize;
use sm_model::{
    Handle, Role, Timestamp,
    release_event::{Envelope, Event},
    request::{Cost, PackageRequest, RequestChoice, RequestEvent, RequestOutcome},
};

use crate::{
    notes::prose::is_deceptive,
    rules::Maintainers,
    train::{Refusal, Refusals},
};

/// Maintainers who must be for it at least.
pub const MIN_FOR: usize = 3;
/// Most packages of one request.
pub const MAX_PACKAGES: usize = 20;
/// Longest answer or reason, in characters.
pub const MAX_WORDS_CHARS: usize = 2000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its number in the log.
    pub id: u64,
    /// Who asks.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
    /// What they ask.
    pub asked: PackageRequest,
    /// What it costs, newest last.
    pub costs: Vec<Cost>,
    /// The last vote of everybody.
    pub votes: BTreeMap<Handle, Vote>,
    /// What was decided last.
    pub decision: Option<Decided>,
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// For or against.
    pub choice: RequestChoice,
    /// Why.
    pub reason: String,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Handle,
    /// What.
    #[serde(flatten)]
    pub outcome: RequestOutcome,
    /// Why.
    pub reason: String,
}

/// What the votes add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Maintainers for it.
    pub n_for: usize,
    /// Maintainers against it.
    pub n_against: usize,
    /// Others for it.
    pub n_others_for: usize,
    /// Others against it.
    pub n_others_against: usize,
}

impl Request {
    /// Counts the votes. Who is a maintainer is asked when it is decided.
    pub fn tally(&self, maintainers: &Maintainers) -> Tally {
        let mut tally = Tally::default();
        for (handle, vote) in &self.votes {
            let count = match (maintainers.get(handle).is_some(), vote.choice) {
                (true, RequestChoice::For) => &mut tally.n_for,
                (true, RequestChoice::Against) => &mut tally.n_against,
                (false, RequestChoice::For) => &mut tally.n_others_for,
                (false, RequestChoice::Against) => &mut tally.n_others_against,
                (_, RequestChoice::Abstain) => continue,
            };
            *count += 1;
        }
        tally
    }

    /// Whether it is still to be decided: not decided, or only put off.
    pub fn is_open(&self) -> bool {
        self.decision
            .as_ref()
            .is_none_or(|decided| matches!(decided.outcome, RequestOutcome::Deferred { .. }))
    }
}

/// Every request, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<u64, Request>);

impl Requests {
    /// Every request that a log holds.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Requests {
        let mut requests = Requests::default();
        events.into_iter().for_each(|event| requests.apply(event));
        requests
    }

    /// Takes one event in. What makes no sense changes nothing.
    pub fn apply(&mut self, event: &Envelope) {
        let Event::Request(body) = &event.body else { return };
        let by = event.by.clone();
        match body.clone() {
            RequestEvent::Filed { request: asked } => {
                let (id, at) = (event.seq, event.at);
                let (costs, votes) = (Vec::new(), BTreeMap::new());
                self.0.insert(id, Request { id, by, at, asked, costs, votes, decision: None });
            }
            RequestEvent::Measured { id, cost } => {
                if let Some(request) = self.0.get_mut(&id) {
                    request.costs.push(cost);
                }
            }
            RequestEvent::Voted { id, choice, reason } => {
                if let Some(request) = self.0.get_mut(&id) {
                    request.votes.insert(by, Vote { choice, reason });
                }
            }
            RequestEvent::Decided { id, outcome, reason } => {
                if let Some(request) = self.0.get_mut(&id) {
                    request.decision = Some(Decided { at: event.at, by, outcome, reason });
                }
            }
        }
    }

    /// The request of that number.
    pub fn get(&self, id: u64) -> Option<&Request> {
        self.0.get(&id)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.0.values()
    }

    /// Those that are to be decided.
    pub fn open(&self) -> impl Iterator<Item = &Request> {
        self.iter().filter(|request| request.is_open())
    }

    fn known(&self, id: u64) -> Result<&Request, Refusals> {
        self.get(id).ok_or_else(|| {
            let lift = "a number from `stationmaster pkg list --all`";
            Refusal::new("no-request", format!("there is no request {id}"), lift).into()
        })
    }

    fn known_open(&self, id: u64) -> Result<&Request, Refusals> {
        let request = self.known(id)?;
        if request.is_open() {
            return Ok(request);
        }
        let lift = "a new request, if something has changed";
        Err(Refusal::new("decided", format!("request {id} is decided"), lift).into())
    }

    /// Asks for packages.
    ///
    /// # Errors
    /// Every answer that is missing or too long, and when the same packages are asked for already.
    pub fn file(&self, asked: PackageRequest) -> Result<Event, Refusals> {
        let answers =
            [("purpose", &asked.purpose), ("alternatives", &asked.alternatives), ("upkeep", &asked.upkeep)];
        let mut refusals: Vec<Refusal> =
            answers.into_iter().filter_map(|(what, words)| faulty(what, words)).collect();
        if asked.packages.is_empty() || asked.packages.len() > MAX_PACKAGES {
            let why = format!("{} packages are asked for", asked.packages.len());
            refusals.push(Refusal::new("packages", why, format!("naming 1 to {MAX_PACKAGES}")));
        }
        if let Some(same) = self.open().find(|other| other.asked.packages == asked.packages) {
            let why = format!("request {} asks for the same", same.id);
            refusals.push(Refusal::new(
                "asked-already",
                why,
                format!("voting on it: `stationmaster pkg vote {}`", same.id),
            ));
        }
        result(refusals, RequestEvent::Filed { request: asked })
    }

    /// Records what a request costs.
    ///
    /// # Errors
    /// When there is no such open request, or the packages that were measured are not those asked for.
    pub fn measure(&self, id: u64, cost: Cost) -> Result<Event, Refusals> {
        let request = self.known_open(id)?;
        let missing = request.asked.packages.iter().filter(|name| !cost.packages.contains(name));
        let refusals = missing.map(|name| {
            let why = format!("`{name}` is in the image already, or was not composed into it");
            Refusal::new("not-measured", why, "asking only for packages that the image does not have")
        });
        result(refusals.collect(), RequestEvent::Measured { id, cost })
    }

    /// Records what somebody wants.
    ///
    /// # Errors
    /// When there is no such open request, or somebody is against it and does not say why.
    pub fn vote(&self, id: u64, choice: RequestChoice, reason: &str) -> Result<Event, Refusals> {
        self.known_open(id)?;
        let needs_reason = choice == RequestChoice::Against || !reason.is_empty();
        let refusals = needs_reason.then(|| faulty("reason", reason)).flatten().into_iter().collect();
        result(refusals, RequestEvent::Voted { id, choice, reason: reason.to_owned() })
    }

    /// Decides a request.
    ///
    /// # Errors
    /// Every reason why this cannot be decided by this person now.
    pub fn decide(
        &self,
        id: u64,
        by: &Handle,
        outcome: RequestOutcome,
        reason: &str,
        maintainers: &Maintainers,
    ) -> Result<Event, Refusals> {
        let request = self.known_open(id)?;
        let mut refusals: Vec<Refusal> = faulty("reason", reason).into_iter().collect();
        if maintainers.get(by).is_none() {
            let why = format!("{by} is no maintainer");
            refusals.push(Refusal::new("no-maintainer", why, "a maintainer of `maintainers.toml`"));
        }
        if matches!(outcome, RequestOutcome::Accepted | RequestOutcome::Experimental { .. }) {
            refusals.extend(missing_for_acceptance(request, maintainers));
        }
        result(refusals, RequestEvent::Decided { id, outcome, reason: reason.to_owned() })
    }
}

/// What a request lacks to be taken in.
pub fn missing_for_acceptance(request: &Request, maintainers: &Maintainers) -> Vec<Refusal> {
    let id = request.id;
    let tally = request.tally(maintainers);
    let mut refusals = Vec::new();
    if request.costs.is_empty() {
        let lift = format!("`stationmaster pkg measure {id}`");
        refusals.push(Refusal::new("no-cost", "nobody knows yet what it costs", lift));
    }
    if tally.n_for < MIN_FOR {
        let why = format!("{} maintainers are for it, expected {MIN_FOR} at least", tally.n_for);
        refusals.push(Refusal::new(
            "too-few",
            why,
            format!("maintainers: `stationmaster pkg vote {id} for`"),
        ));
    }
    if tally.n_against >= tally.n_for && tally.n_against > 0 {
        let why = format!("as many are against it ({}) as for it, or more", tally.n_against);
        refusals.push(Refusal::new("no-majority", why, "maintainers who change their minds"));
    }
    let against = request.votes.iter().filter(|(_, vote)| vote.choice == RequestChoice::Against);
    for (handle, vote) in against {
        let speaks = maintainers.get(handle).is_some_and(|person| person.roles.contains(&Role::Security));
        if speaks {
            let why = format!("{handle} is against it for security: {}", vote.reason);
            refusals.push(Refusal::new("veto", why, handle.to_string()));
        }
    }
    refusals
}

fn result(refusals: Vec<Refusal>, event: RequestEvent) -> Result<Event, Refusals> {
    if refusals.is_empty() { Ok(Event::Request(event)) } else { Err(Refusals(refusals)) }
}

fn faulty(what: &str, words: &str) -> Option<Refusal> {
    let why = if words.trim().is_empty() {
        format!("the {what} is not told")
    } else if words.chars().count() > MAX_WORDS_CHARS {
        format!("the {what} has more than {MAX_WORDS_CHARS} characters")
    } else if words.chars().any(is_deceptive) {
        format!("the {what} has characters that are not seen")
    } else {
        return None;
    };
    Some(Refusal::new("words", why, format!("`--{what}`")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use sm_model::{Sha256, request::SizePair};

    pub(crate) fn maintainers() -> Maintainers {
        let person =
            |name: &str, roles: &str| format!("[[maintainer]]\nhandle = \"{name}\"\nroles = [{roles}]\n");
        let text = [
            person("alice", "\"build\""),
            person("bob", "\"test\""),
            person("carol", "\"security\""),
            person("dave", ""),
        ];
        Maintainers::parse(&text.concat()).unwrap()
    }

    pub(crate) fn asked() -> PackageRequest {
        PackageRequest {
            packages: vec!["jq".parse().unwrap()],
            purpose: "Read what containers say.".to_owned(),
            alternatives: "A container starts too slowly for a shell loop.".to_owned(),
            upkeep: "Released twice a year.".to_owned(),
        }
    }

    pub(crate) fn cost() -> Cost {
        let size = SizePair { without_bytes: 100_000_000, with_bytes: 101_500_000 };
        Cost {
            board: "amd64-usr".parse().unwrap(),
            without: Sha256([1; 32]),
            with: Sha256([2; 32]),
            usr: size,
            payload: size,
            packages: vec!["jq".parse().unwrap(), "libjq1".parse().unwrap()],
            setuid: Vec::new(),
            units: Vec::new(),
            listeners: Vec::new(),
        }
    }

    pub(crate) struct Log {
        pub(crate) events: Vec<Envelope>,
    }

    impl Log {
        pub(crate) fn new() -> Log {
            let mut log = Log { events: Vec::new() };
            log.push("erin", log.requests().file(asked()).unwrap());
            log
        }

        pub(crate) fn push(&mut self, by: &str, body: Event) {
            let seq = self.events.len() as u64 + 1;
            let at = Timestamp::from_unix_secs(1_790_000_000 + i64::try_from(seq).unwrap()).unwrap();
            self.events.push(Envelope { seq, at, by: by.parse().unwrap(), body });
        }

        pub(crate) fn requests(&self) -> Requests {
            Requests::replay(&self.events)
        }

        pub(crate) fn vote(&mut self, by: &str, choice: RequestChoice, reason: &str) {
            self.push(by, self.requests().vote(1, choice, reason).unwrap());
        }

        pub(crate) fn accept(&self, by: &str) -> Result<Event, Vec<&'static str>> {
            let decided = self.requests().decide(
                1,
                &by.parse().unwrap(),
                RequestOutcome::Accepted,
                "useful",
                &maintainers(),
            );
            decided.map_err(|refusals| refusals.codes())
        }
    }

    #[test]
    fn a_request_needs_cost_votes_and_a_maintainer_and_all_that_is_missing_is_told() {
        let mut log = Log::new();
        assert_eq!(log.accept("erin").unwrap_err(), ["no-maintainer", "no-cost", "too-few"]);
        log.push("alice", log.requests().measure(1, cost()).unwrap());
        for by in ["alice", "bob", "erin", "frank", "dave"] {
            log.vote(by, RequestChoice::For, "");
        }
        assert_eq!(
            log.requests().get(1).unwrap().tally(&maintainers()),
            Tally { n_for: 3, n_others_for: 2, ..Tally::default() }
        );
        let decided = log.accept("alice").unwrap();
        log.push("alice", decided);
        assert_eq!(log.requests().open().count(), 0);
        assert_eq!(log.accept("bob").unwrap_err(), ["decided"]);
    }

    #[test]
    fn security_vetoes_with_a_reason_and_may_change_its_mind() {
        let mut log = Log::new();
        log.push("alice", log.requests().measure(1, cost()).unwrap());
        for by in ["alice", "bob", "dave"] {
            log.vote(by, RequestChoice::For, "");
        }
        assert_eq!(log.requests().vote(1, RequestChoice::Against, " ").unwrap_err().codes(), ["words"]);
        log.vote("carol", RequestChoice::Against, "an interpreter");
        assert_eq!(log.accept("alice").unwrap_err(), ["veto"]);
        log.vote("carol", RequestChoice::Abstain, "");
        assert!(log.accept("alice").is_ok());
    }

    #[test]
    fn what_was_put_off_is_decided_later() {
        let mut log = Log::new();
        let until = RequestOutcome::Deferred { until: "2027-01-01".parse().unwrap() };
        let deferred =
            log.requests().decide(1, &"bob".parse().unwrap(), until, "after the freeze", &maintainers());
        log.push("bob", deferred.unwrap());
        assert_eq!(log.requests().open().count(), 1);
    }

    #[test]
    fn every_answer_is_asked_for_and_nobody_asks_twice() {
        let log = Log::new();
        let empty = PackageRequest {
            packages: vec![],
            purpose: String::new(),
            alternatives: "\u{202e}".into(),
            upkeep: "x".repeat(3000),
        };
        assert_eq!(log.requests().file(empty).unwrap_err().codes(), ["words", "words", "words", "packages"]);
        assert_eq!(log.requests().file(asked()).unwrap_err().codes(), ["asked-already"]);
        let nothing = Cost { packages: vec![], ..cost() };
        assert_eq!(log.requests().measure(1, nothing).unwrap_err().codes(), ["not-measured"]);
        assert_eq!(log.requests().measure(9, cost()).unwrap_err().codes(), ["no-request"]);
    }

    proptest! {
        #[test]
        fn votes_of_others_never_decide(n_others in 0..20_usize, n_maintainers in 0..3_usize) {
            let mut log = Log::new();
            log.push("alice", log.requests().measure(1, cost()).unwrap());
            for n in 0..n_others {
                log.vote(&format!("other{n}"), RequestChoice::For, "");
            }
            for by in ["alice", "bob", "dave"].into_iter().take(n_maintainers) {
                log.vote(by, RequestChoice::For, "");
            }
            prop_assert_eq!(log.accept("alice").unwrap_err(), ["too-few"]);
        }

        #[test]
        fn a_vote_counts_once_however_often_it_is_cast(choices in prop::collection::vec(0..3_u8, 1..10)) {
            let mut log = Log::new();
            for choice in &choices {
                let choice = [RequestChoice::For, RequestChoice::Against, RequestChoice::Abstain][usize::from(*choice)];
                log.vote("alice", choice, "because");
            }
            let tally = log.requests().get(1).unwrap().tally(&maintainers());
            let last = *choices.last().unwrap();
            prop_assert_eq!((tally.n_for, tally.n_against), (usize::from(last == 0), usize::from(last == 1)));
        }
    }
}
