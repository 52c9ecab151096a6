//! `stationmaster test quarantine`: a known failure is muted for a time, with an owner, an approver and an issue. The test goes on
//! being run; another failure of it still counts; no promotion inherits it; and what nobody may waive cannot be muted.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use sm_host::clock::{Clock, SystemClock};
use sm_model::{
    Channel, Timestamp,
    test_report::{FailureSignature, Scenario, TestId},
};
use sm_release::quarantine::{Entry, MAX_TERM_DAYS, Quarantine, QuarantineProblem, over_budget, standing};
use sm_store::test_history::{AttemptFilter, Observed};
use sm_vmtest::suite::catalog::{self, Gate};

use super::Store;
use crate::context::{Context, Outcome};

const DAY_SECS: i64 = 24 * 60 * 60;

const EXAMPLES: &str = "\
Examples:
  stationmaster test quarantine add net.listeners --signature 7c1e09 \\
      --scenario platform=qemu --channel alpha --owner bob \\
      --approved-by carol --issue https://issues.example/1234
      Mute this failure for two weeks; `test history` shows signatures.
  stationmaster test quarantine lift net.listeners --signature 7c1e09 \\
      --channel alpha --by bob --why 'mended in 4893.0.2'

A term is at most 14 days; two more may follow, 60 days in all. One in twenty
of a channel's blocking tests may be muted at the same time.";

/// Mute a known failure for a time; the test goes on being run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Mute a failure, or extend what mutes it by another term.
    Add(Add),
    /// Show what is muted, by whom, until when.
    List(List),
    /// Mute it no longer.
    Lift(Lift),
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "stationmaster test quarantine add [OPTIONS] <TEST>\n\
    \x20         --signature <HEX> --channel <CHANNEL> --owner <NAME>\n\
    \x20         --approved-by <NAME> --issue <URL>")]
struct Add {
    /// The test.
    test: TestId,
    /// The first digits of the failure's signature.
    #[arg(long, value_name = "HEX")]
    signature: String,
    /// A circumstance, KEY=VALUE; each must be named.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    scenario: Vec<(String, String)>,
    /// The channel it holds for.
    #[arg(long)]
    channel: Channel,
    /// How long, in days.
    #[arg(long, value_name = "N", default_value_t = MAX_TERM_DAYS)]
    days: i64,
    /// Who mends the test.
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// Who agreed; somebody else.
    #[arg(long, value_name = "NAME")]
    approved_by: String,
    /// Where it is worked on.
    #[arg(long, value_name = "URL")]
    issue: String,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "stationmaster test quarantine lift [OPTIONS] <TEST>\n\
    \x20         --signature <HEX> --channel <CHANNEL> --by <NAME> --why <TEXT>")]
struct Lift {
    /// The test.
    test: TestId,
    /// The first digits of the failure's signature.
    #[arg(long, value_name = "HEX")]
    signature: String,
    /// The channel.
    #[arg(long)]
    channel: Channel,
    /// Who lifts it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    store: Store,
}

/// A quarantine that is not allowed, or not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// No failure, or several, are meant.
    #[error(
        "`{signature}` is the signature of {n_found} known failures of `{test}` in this scenario: expected one"
    )]
    Signature {
        /// The test.
        test: TestId,
        /// What was given.
        signature: String,
        /// How many are meant.
        n_found: usize,
    },
    /// The test may not be muted.
    #[error("`{0}` is no blocking test of the suite: only those can be muted")]
    NotBlocking(TestId),
    /// The quarantine itself.
    #[error("the quarantine is not allowed: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Problems {
        /// Every reason.
        problems: Vec<QuarantineProblem>,
    },
    /// Too much is muted already.
    #[error(
        "{n_muted} of {n_blocking} blocking tests would be muted in `{channel}`: expected at most one in twenty"
    )]
    OverBudget {
        /// How many with this one.
        n_muted: u32,
        /// How many could block.
        n_blocking: u32,
        /// Where.
        channel: Channel,
    },
}

impl Refused {
    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Refused::Signature { test, .. } => {
                format!("see failures and scenarios with `stationmaster test history {test}`")
            }
            Refused::NotBlocking(_) => "see every test with `stationmaster test list`".to_owned(),
            Refused::Problems { .. } => {
                "see the limits with `stationmaster test quarantine --help`".to_owned()
            }
            Refused::OverBudget { .. } => {
                "mend a test that is muted, then lift its quarantine: `stationmaster test quarantine list`"
                    .to_owned()
            }
        })
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        sm_model::exit::INVALID_INPUT
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, for example platform=qemu")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    match &args.verb {
        Verb::Add(add) => add.run(ctx),
        Verb::List(list) => {
            let history = list.store.read()?;
            ctx.data(&Muted { now: SystemClock.now(), quarantines: standing(&history.quarantines()?) })?;
            Ok(Outcome::Done)
        }
        Verb::Lift(lift) => lift.run(ctx),
    }
}

impl Add {
    fn run(&self, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
        let mut history = self.store.read()?;
        let observed = history.attempts(AttemptFilter { test: Some(&self.test), since: None })?;
        let standing = standing(&history.quarantines()?);
        let quarantine = self.quarantine(&observed, &standing, SystemClock.now())?;
        history.append_quarantine(&Entry::Muted { quarantine: quarantine.clone() })?;
        ctx.data(&Muted { now: quarantine.opened, quarantines: vec![quarantine] })?;
        Ok(Outcome::Done)
    }

    /// The quarantine that is asked for, if it is allowed.
    fn quarantine(
        &self,
        observed: &[Observed],
        standing: &[Quarantine],
        now: Timestamp,
    ) -> anyhow::Result<Quarantine> {
        if gate(&self.test) != Some(Gate::Blocking) {
            return Err(Refused::NotBlocking(self.test.clone()).into());
        }
        let scenario: Scenario = self.scenario.iter().cloned().collect();
        let mut quarantine = Quarantine {
            test: self.test.clone(),
            signature: known_failure(observed, &self.test, &scenario, &self.signature)?,
            scenario,
            channel: self.channel,
            opened: now,
            expires: Timestamp::from_unix_secs(
                now.unix_secs().saturating_add(self.days.saturating_mul(DAY_SECS)),
            )?,
            n_extensions: 0,
            owner: self.owner.clone(),
            approved_by: self.approved_by.clone(),
            issue: self.issue.clone(),
        };
        if let Some(earlier) = standing.iter().find(|one| one.is_about_the_same(&quarantine)) {
            quarantine.opened = earlier.opened;
            quarantine.n_extensions = earlier.n_extensions.saturating_add(1);
        }
        let problems = quarantine.problems();
        if !problems.is_empty() {
            return Err(Refused::Problems { problems }.into());
        }
        within_budget(&quarantine, standing, now)?;
        Ok(quarantine)
    }
}

/// What a test's failure means; what consoles said, dirt, and tests from outside are not in the catalog, and block.
fn gate(test: &TestId) -> Option<Gate> {
    let name = test.as_str();
    let known = catalog::ALL.iter().find(|test| test.name == name).map(|test| test.gate);
    let is_found = ["console.", "dirt.", "ext."].iter().any(|kind| name.starts_with(kind));
    known.or(is_found.then_some(Gate::Blocking))
}

/// The one failure whose signature begins so.
fn known_failure(
    observed: &[Observed],
    test: &TestId,
    scenario: &Scenario,
    prefix: &str,
) -> Result<FailureSignature, Refused> {
    let own = observed.iter().filter(|one| one.attempt.scenario == *scenario);
    let found: BTreeSet<FailureSignature> = own
        .filter_map(|one| one.attempt.signature)
        .filter(|signature| !prefix.is_empty() && signature.0.to_string().starts_with(prefix))
        .collect();
    match found.first() {
        Some(only) if found.len() == 1 => Ok(*only),
        _ => {
            Err(Refused::Signature { test: test.clone(), signature: prefix.to_owned(), n_found: found.len() })
        }
    }
}

fn within_budget(new: &Quarantine, standing: &[Quarantine], now: Timestamp) -> Result<(), Refused> {
    let holds = |one: &&Quarantine| one.channel == new.channel && now < one.expires;
    let tests: BTreeSet<&TestId> =
        standing.iter().filter(holds).map(|one| &one.test).chain([&new.test]).collect();
    let n_blocking = catalog::ALL.iter().filter(|test| test.gate == Gate::Blocking).count();
    let [n_muted, n_blocking] = [tests.len(), n_blocking].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    if over_budget(n_muted, n_blocking) {
        return Err(Refused::OverBudget { n_muted, n_blocking, channel: new.channel });
    }
    Ok(())
}

impl Lift {
    fn run(&self, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
        let mut history = self.store.read()?;
        let is_meant = |one: &&Quarantine| {
            one.test == self.test
                && one.channel == self.channel
                && !self.signature.is_empty()
                && one.signature.0.to_string().starts_with(&self.signature)
        };
        let standing = standing(&history.quarantines()?);
        let meant: Vec<&Quarantine> = standing.iter().filter(is_meant).collect();
        let [quarantine] = meant[..] else {
            let (test, signature) = (self.test.clone(), self.signature.clone());
            return Err(Refused::Signature { test, signature, n_found: meant.len() }.into());
        };
        let (at, by, why) = (SystemClock.now(), self.by.clone(), self.why.clone());
        history.append_quarantine(&Entry::Lifted { quarantine: quarantine.clone(), at, by, why })?;
        ctx.progress.note(&format!("`{}` counts again in `{}`", self.test, self.channel));
        Ok(Outcome::Done)
    }
}

/// What is muted at an instant.
#[derive(Debug, Serialize)]
struct Muted {
    #[serde(skip)]
    now: Timestamp,
    quarantines: Vec<Quarantine>,
}

impl fmt::Display for Muted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quarantines.is_empty() {
            return f.write_str("nothing is muted");
        }
        let blocks = self.quarantines.iter().map(|one| {
            let state = match one.expires.secs_since(self.now).div_euclid(DAY_SECS) {
                ..0 => "expired: it mutes nothing any more".to_owned(),
                days @ 0..3 => format!("ends soon: {days} days left"),
                days => format!("{days} days left"),
            };
            let scenario: Vec<String> =
                one.scenario.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!(
                "{}  {}  {}  {}\n  until {} ({state}), extended {} times\n  owner {}, approved by {}\n  {}",
                one.test,
                one.signature,
                one.channel,
                scenario.join(" "),
                one.expires,
                one.n_extensions,
                one.owner,
                one.approved_by,
                one.issue
            )
        });
        f.write_str(&blocks.collect::<Vec<_>>().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use sm_model::{Sha256, test_report::AttemptOutcome};

    use super::*;
    use crate::test::history::tests::seen;

    fn add(test: &str) -> Add {
        Add {
            test: test.parse().unwrap(),
            signature: "0909".into(),
            scenario: vec![("platform".into(), "qemu".into())],
            channel: Channel::Alpha,
            days: 14,
            owner: "bob".into(),
            approved_by: "carol".into(),
            issue: "#12".into(),
            store: Store { db: "unused.db".into() },
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T07:00:00Z".parse().unwrap()
    }

    fn asked(add: &Add, standing: &[Quarantine]) -> Result<Quarantine, String> {
        let mut failure = seen("4893.0.0", AttemptOutcome::Fail, "late");
        failure.attempt.test = add.test.clone();
        add.quarantine(&[failure], standing, now()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_known_failure_is_muted_for_a_term() {
        let quarantine = asked(&add("net.listeners"), &[]).unwrap();
        assert_eq!(quarantine.signature, FailureSignature(Sha256([9; 32])));
        assert_eq!(quarantine.expires.to_string(), "2026-12-07T07:00:00Z");
    }

    #[test]
    fn a_failure_nobody_saw_or_in_another_scenario_cannot_be_muted() {
        let unknown = Add { signature: "ffff".into(), ..add("net.listeners") };
        let elsewhere = Add { scenario: Vec::new(), ..add("net.listeners") };
        let everything = Add { signature: String::new(), ..add("net.listeners") };
        for wrong in [unknown, elsewhere, everything] {
            assert!(asked(&wrong, &[]).unwrap_err().contains("0 known failures"));
        }
    }

    #[test]
    fn what_nobody_may_waive_cannot_be_muted_nor_what_is_unknown() {
        for test in ["boot.uefi", "image.size-budget", "x.unknown"] {
            assert!(asked(&add(test), &[]).unwrap_err().contains("no blocking test"), "{test}");
        }
    }

    #[test]
    fn what_consoles_said_can_be_muted() {
        assert!(asked(&add("console.segfault"), &[]).is_ok());
        assert!(asked(&add("dirt.net.listeners"), &[]).is_ok());
    }

    #[test]
    fn limits_hold() {
        let long = Add { days: 15, approved_by: "bob".into(), ..add("net.listeners") };
        assert_eq!(
            asked(&long, &[]).unwrap_err(),
            "the quarantine is not allowed: a term is longer than 14 days; its owner cannot approve it"
        );
        let first = asked(&add("net.listeners"), &[]).unwrap();
        let second = asked(&add("net.listeners"), std::slice::from_ref(&first)).unwrap();
        assert_eq!((second.n_extensions, second.opened), (1, first.opened));
        let full: Vec<Quarantine> = ["ssh.hardening", "time.sync"]
            .map(|test| Quarantine { test: test.parse().unwrap(), ..first.clone() })
            .into();
        assert!(asked(&add("net.listeners"), &full).unwrap_err().contains("one in twenty"));
    }
}
