//! Verifying an exported decision: every link of the chain from the signed decision down to the documents, one check a line.

use std::fmt;

use serde::Serialize;
use sm_model::{
    Handle, Manifest, Sha256, Timestamp,
    evidence::{RuleFile, TestLine},
    statement::{Ballot, Seconding, Signed},
    test_report::TestReport,
};

use super::{DecisionBundle, Seconded};
use crate::{
    go::judge,
    proof::{self, PublicKey, Strength, digest_bytes, digest_of},
    room::due,
    rules::{Maintainers, Rules, policy::Context},
    train::{
        draft::decision_of,
        question::{Subject, closing},
    },
};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// What is wrong; nothing when it holds.
    pub wrong: Option<String>,
}

/// What was checked, and what had to be taken on trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// What nothing in the bundle can show.
    pub trusted: Vec<String>,
}

impl Verification {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.wrong.is_none())
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            match &check.wrong {
                None => writeln!(f, "ok     {}", check.what)?,
                Some(wrong) => writeln!(f, "WRONG  {}: {wrong}", check.what)?,
            }
        }
        self.trusted.iter().try_for_each(|what| writeln!(f, "trust  {what}"))?;
        f.write_str(if self.holds() { "the decision holds" } else { "the decision does NOT hold" })
    }
}

/// Verifies a bundle. With `maintainers` the keys are compared with a file that came another way; without, the bundle's own are
/// taken on trust.
pub fn verify(bundle: &DecisionBundle, maintainers: Option<&Maintainers>) -> Verification {
    let mut run = Run { bundle, checks: Vec::new(), trusted: Vec::new() };
    let rules = run.rules();
    run.keys(&rules, maintainers);
    run.chain();
    run.boards();
    run.documents();
    run.waivers(&rules);
    run.overrides(&rules);
    run.ballots(&rules);
    run.decision(&rules);
    Verification { checks: run.checks, trusted: run.trusted }
}

struct Run<'a> {
    bundle: &'a DecisionBundle,
    checks: Vec<Check>,
    trusted: Vec<String>,
}

impl Run<'_> {
    fn check(&mut self, what: impl Into<String>, result: Result<(), String>) {
        self.checks.push(Check { what: what.into(), wrong: result.err() });
    }

    fn equal<T: PartialEq>(&mut self, what: impl Into<String>, found: &T, expected: &T, wrong: &str) {
        self.check(what, if found == expected { Ok(()) } else { Err(wrong.to_owned()) });
    }

    /// The rules that the bundle says were in force, by the digests that were voted on.
    fn rules(&mut self) -> Rules {
        let mut rules = Rules::default();
        let mut wrong = Vec::new();
        for (file, text) in &self.bundle.rules {
            if rules.adopt(*file, text).is_err() {
                wrong.push(format!("`{}` has mistakes", file.file_name()));
            }
        }
        if rules.digests != self.bundle.evidence.rules {
            wrong.push("the texts are not those that were voted on".to_owned());
        }
        let names: Vec<&str> = self.bundle.rules.keys().map(|file| file.file_name()).collect();
        self.check(format!("rules: {}", names.join(", ")), joined(wrong));
        rules
    }

    fn keys(&mut self, rules: &Rules, known: Option<&Maintainers>) {
        let poll = &self.bundle.case.poll;
        let n = poll.voters.len();
        self.equal(
            format!("voters: {n}, as in the file"),
            &poll.voters,
            &rules.maintainers.voters(),
            "the poll names others than the file",
        );
        match known {
            Some(known) => self.equal(
                "voters: as in the file that you gave",
                &rules.maintainers.voters(),
                &known.voters(),
                "your file names others, or other keys",
            ),
            None => {
                let digest = self.bundle.evidence.rules.get(&RuleFile::Maintainers);
                let digest = digest.map_or_else(String::new, ToString::to_string);
                self.trusted.push(format!(
                    "that `maintainers.toml` with SHA-256 {digest} is the project's: give yours with `--maintainers`"
                ));
            }
        }
    }

    /// Decision, case, evidence: each names the next by digest.
    fn chain(&mut self) {
        let DecisionBundle { format, decision, case, evidence, .. } = self.bundle;
        let decision = &decision.statement;
        self.equal("format", format, &DecisionBundle::FORMAT, "it is not one of this program's");
        self.equal("decision: of this case", &decision.case, &digest_of(case), "the case was changed");
        let digest = digest_of(evidence);
        self.equal("decision: on this evidence", &decision.evidence, &digest, "the evidence was changed");
        self.equal("poll: on this evidence", &case.poll.evidence, &digest, "it is on other evidence");
        let same = (case.poll.train, case.poll.channel, case.poll.version)
            == (evidence.train, evidence.channel, evidence.version)
            && (case.plan.channel, case.plan.version) == (evidence.channel, evidence.version);
        let told = format!("release: {} {} of train {}", evidence.channel, evidence.version, evidence.train);
        self.check(
            told,
            if same { Ok(()) } else { Err("poll, plan and evidence name different ones".to_owned()) },
        );
        self.equal(
            "evidence: format",
            &evidence.format,
            &sm_model::evidence::EvidenceBundle::FORMAT,
            "it is not one of this program's",
        );
    }

    fn boards(&mut self) {
        let DecisionBundle { boards, evidence, .. } = self.bundle;
        let names =
            |boards: Vec<&sm_model::Board>| boards.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.equal(
            "boards: those of the evidence",
            &names(boards.keys().collect()),
            &names(evidence.boards.keys().collect()),
            "they are others",
        );
        for (board, named) in &evidence.boards {
            let Some(inputs) = boards.get(board) else { continue };
            let mut wrong = Vec::new();
            let mut require = |holds: bool, what: &str| {
                if !holds {
                    wrong.push(format!("{what} was changed"));
                }
            };
            require(digest_of(&inputs.candidate) == named.candidate, "the candidate");
            require(inputs.candidate.manifest == named.manifest, "the manifest's digest");
            require(inputs.candidate.version == evidence.version, "the version");
            require(digest_of(&inputs.results) == named.results, "a result");
            require(inputs.diff.as_ref().map(digest_of) == named.diff, "the comparison");
            let n_results = inputs.results.len();
            self.check(format!("{board}: candidate, {n_results} results, comparison"), joined(wrong));
        }
    }

    /// Attached documents are what their digests say, and say what the evidence says.
    fn documents(&mut self) {
        let DecisionBundle { documents, evidence, .. } = self.bundle;
        let named = DecisionBundle::named(evidence);
        let messages: Vec<Sha256> = self.bundle.case.ballots.iter().filter_map(due::message_of).collect();
        for (digest, text) in documents {
            let mut wrong = Vec::new();
            if digest_bytes(text.as_bytes()) != *digest {
                wrong.push("it was changed".to_owned());
            }
            if !named.contains(digest) && !messages.contains(digest) {
                wrong.push("neither the evidence nor a vote names it".to_owned());
            }
            self.check(format!("document {digest:.12}", digest = digest.to_string()), joined(wrong));
        }
        for digest in named.iter().filter(|digest| !documents.contains_key(digest)) {
            self.trusted.push(format!("document {:.12}, which is not attached", digest.to_string()));
        }
        for (board, named) in &evidence.boards {
            let Some(inputs) = self.bundle.boards.get(board) else { continue };
            if let Some(text) = documents.get(&named.manifest) {
                let result = same_manifest(text, inputs);
                self.check(format!("{board}: manifest says the same"), result);
            }
            let texts: Vec<&String> =
                named.reports.iter().filter_map(|digest| documents.get(digest)).collect();
            if texts.len() == named.reports.len() {
                let result = same_results(&texts, &inputs.results, named.manifest);
                self.check(format!("{board}: reports say the same"), result);
            }
        }
    }

    fn waivers(&mut self, rules: &Rules) {
        let bundle = self.bundle;
        let digests: Vec<Sha256> =
            bundle.waivers.iter().map(|waiver| digest_of(&waiver.asked.statement)).collect();
        self.equal(
            format!("waivers: {}, those of the evidence", digests.len()),
            &digests,
            &bundle.evidence.waivers,
            "they are others",
        );
        for waiver in &bundle.waivers {
            let statement = &waiver.asked.statement;
            let by = (&statement.by, statement.at);
            let result = two_people(rules, waiver, statement.id, by, bundle.decision.statement.at);
            self.check(
                format!("waiver {} of {}: two signatures", statement.id, statement.requirement),
                result,
            );
        }
    }

    fn overrides(&mut self, rules: &Rules) {
        let bundle = self.bundle;
        let decided_at = bundle.decision.statement.at;
        let mut lifted = Vec::new();
        for exception in &bundle.overrides {
            let statement = &exception.asked.statement;
            let by = (&statement.by, statement.at);
            let mut result = two_people(rules, exception, statement.id, by, decided_at);
            let fits = statement.evidence == bundle.case.poll.evidence
                && (statement.train, statement.channel) == (bundle.case.poll.train, bundle.case.poll.channel)
                && decided_at < statement.expires;
            if !fits {
                result = result.and(Err("it is for another release, or had ended".to_owned()));
            }
            lifted.push((statement.rule, statement.id));
            self.check(
                format!("override {} of {}: two signatures", statement.id, statement.rule.word()),
                result,
            );
        }
        let used = &bundle.decision.statement.overrides;
        let counted: Vec<_> = bundle
            .case
            .lifted
            .iter()
            .filter(|(_, id)| used.contains(id))
            .map(|(rule, id)| (*rule, *id))
            .collect();
        lifted.sort();
        self.equal("overrides: those that the decision rests on", &lifted, &counted, "they are others");
    }

    fn ballots(&mut self, rules: &Rules) {
        let bundle = self.bundle;
        let poll = &bundle.case.poll;
        let needed = rules.policy.voting(poll.channel, &poll.urgency);
        let open_secs = poll.closes.secs_since(poll.opened);
        let long_enough = open_secs >= needed.open_minutes * 60;
        let told = format!("votes: open from {} until {} at least", poll.opened, poll.closes);
        self.check(told, if long_enough { Ok(()) } else { Err("the policy asks for longer".to_owned()) });
        let digests: Vec<Sha256> = bundle.case.ballots.iter().map(digest_of).collect();
        self.equal(
            format!("ballots: {}, those that were counted", digests.len()),
            &digests,
            &bundle.decision.statement.ballots,
            "one was added, removed, changed or moved",
        );
        for signed in &bundle.case.ballots {
            let ballot = &signed.statement;
            let in_time = poll.opened <= ballot.at && ballot.at <= bundle.decision.statement.at;
            let mut result = match rules.maintainers.get(&ballot.voter) {
                Some(_) => signed_by(rules, &ballot.voter, signed, needed.proof),
                None => Ok(()),
            };
            if !in_time {
                result = result.and(Err("it was not cast while votes were open".to_owned()));
            }
            if self.takes_the_place_of_a_stronger(signed) {
                result =
                    result.and(Err("it takes the place of a signed vote without being signed".to_owned()));
            }
            result = result.and(self.message(rules, signed));
            let kind =
                if rules.maintainers.get(&ballot.voter).is_some() { "" } else { ", advice without weight" };
            self.check(format!("ballot: {} {}{kind}", ballot.voter, ballot.choice.word()), result);
        }
    }

    /// Whether an earlier ballot of the same voter is better known to be theirs.
    fn takes_the_place_of_a_stronger(&self, signed: &Signed<Ballot>) -> bool {
        let earlier = self.bundle.case.ballots.iter().take_while(|other| *other != signed);
        let same_voter = earlier.filter(|other| other.statement.voter == signed.statement.voter);
        same_voter
            .map(|other| proof::claimed(&other.proof))
            .any(|known| known > proof::claimed(&signed.proof))
    }

    /// A vote from a room says what its message says. That the servers gave the message as it was sent is taken on trust.
    fn message(&mut self, rules: &Rules, signed: &Signed<Ballot>) -> Result<(), String> {
        let Some(digest) = due::message_of(signed) else { return Ok(()) };
        let voter = &signed.statement.voter;
        match self.bundle.documents.get(&digest) {
            Some(raw) => {
                let told = format!("the chat servers, for votes of {voter}: messages are not signed");
                if !self.trusted.contains(&told) {
                    self.trusted.push(told);
                }
                due::check(signed, raw, &rules.maintainers)
            }
            None => {
                self.trusted.push(format!("the vote of {voter}, whose message is not attached"));
                Ok(())
            }
        }
    }

    /// The decision again, from its parts.
    fn decision(&mut self, rules: &Rules) {
        let bundle = self.bundle;
        let decision = &bundle.decision.statement;
        let subject = Subject {
            plan: &bundle.case.plan,
            boards: &bundle.boards,
            facts: bundle.case.facts.clone(),
            waivers: bundle.waivers.iter().map(|waiver| &waiver.asked.statement).collect(),
            subject_day: bundle.case.subject_day,
            now: decision.at,
        };
        let report = subject.ask(Context::Go, rules);
        let state = if report.open { "open" } else { "closed" };
        self.equal(
            format!("gate: {} requirements, {state}", report.items.len()),
            &closing(&report),
            &bundle.case.gate,
            "the evidence says something else",
        );
        self.facts();
        let computed = decision_of(&bundle.case, decision.by.clone(), decision.at);
        let judgement = judge(&bundle.case, decision.at);
        self.equal(
            format!("decision: {} ({judgement})", decision.verdict.word()),
            &computed,
            decision,
            "the votes come to something else",
        );
        let result = signed_by(rules, &decision.by, &bundle.decision, Strength::Signature);
        self.check(format!("decision: signed by {}", decision.by), result);
        self.trusted.push("blockers, answers and soak, as whoever signed the decision saw them".to_owned());
    }

    /// Facts that somebody recorded are part of the evidence, and the case says the same about them.
    fn facts(&mut self) {
        let recorded = self.bundle.evidence.facts.iter().all(|(name, fact)| {
            let same = crate::gate::facts::Finding::Value { value: fact.value, items: fact.items.clone() };
            self.bundle.case.facts.get(name) == Some(&same)
        });
        let n = self.bundle.evidence.facts.len();
        self.check(
            format!("facts: {n} recorded"),
            if recorded { Ok(()) } else { Err("the case says something else".to_owned()) },
        );
    }
}

fn joined(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Whether a statement is signed well enough by somebody of the file.
fn signed_by<T: Serialize>(
    rules: &Rules,
    who: &Handle,
    signed: &Signed<T>,
    needed: Strength,
) -> Result<(), String> {
    let person = rules.maintainers.get(who).ok_or_else(|| format!("{who} is not in the file"))?;
    let keys: &[PublicKey] = &person.keys;
    match proof::check(signed, keys) {
        Err(error) => Err(error.to_string()),
        Ok(strength) if strength < needed => Err(format!("the word of {who} counts when it is signed")),
        Ok(_) => Ok(()),
    }
}

/// Whether two different people of the file signed an exception, one after the other, before the decision.
fn two_people<T: Serialize>(
    rules: &Rules,
    exception: &Seconded<T>,
    id: sm_model::ItemId,
    (by, at): (&Handle, Timestamp),
    decided: Timestamp,
) -> Result<(), String> {
    let second: &Seconding = &exception.seconded.statement;
    signed_by(rules, by, &exception.asked, Strength::Signature)?;
    signed_by(rules, &second.by, &exception.seconded, Strength::Signature)?;
    let fits = second.id == id
        && second.statement == digest_of(&exception.asked.statement)
        && second.by != *by
        && at <= second.at
        && second.at <= decided;
    if fits {
        Ok(())
    } else {
        Err("the second signature is for something else, or by the same person".to_owned())
    }
}

fn same_manifest(text: &str, inputs: &crate::gate::BoardInputs) -> Result<(), String> {
    let manifest: Manifest =
        serde_json::from_str(text).map_err(|error| format!("cannot read it: {error}"))?;
    let same = manifest.version == inputs.candidate.version
        && manifest.usr_size_bytes == inputs.candidate.usr_size_bytes;
    if same { Ok(()) } else { Err("it is of another release".to_owned()) }
}

fn same_results(texts: &[&String], results: &[TestLine], manifest: Sha256) -> Result<(), String> {
    let mut lines = Vec::new();
    for text in texts {
        let report: TestReport =
            serde_json::from_str(text).map_err(|error| format!("cannot read one: {error}"))?;
        if report.subject != manifest {
            return Err("one is about another manifest".to_owned());
        }
        lines.extend(lines_of(&report));
    }
    if lines == results { Ok(()) } else { Err("they have other results".to_owned()) }
}

/// The attempts of a report, as far as gates look into them.
pub fn lines_of(report: &TestReport) -> Vec<TestLine> {
    let line = |attempt: &sm_model::test_report::Attempt| TestLine {
        test: attempt.test.clone(),
        scenario: attempt.scenario.clone(),
        isolation: attempt.isolation,
        outcome: attempt.outcome.clone(),
        signature: attempt.signature,
    };
    report.attempts.iter().map(line).collect()
}
