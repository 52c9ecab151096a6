//! `stationmaster gate`: what a gate asks for, what it answers, and what another policy would have answered in the past.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use sm_host::files::read_text;
use sm_model::{
    Channel, Date, Version,
    evidence::RuleFile,
    release_event::{Envelope, Event, VoteEvent},
};
use sm_release::{
    gate::{Report, wanted},
    rules::{
        Policy,
        policy::{Ask, Context as Gate, Requirement},
    },
    train::{Refusal, Refusals, State, apply, question},
};
use sm_store::{EventLog, Until};

use crate::{
    context::{Context, Outcome},
    project::{self, Meant, Project},
};

const EXAMPLES: &str = "\
Examples:
  stationmaster gate check --channel alpha
      What the gate for votes says about the release on the train.
  stationmaster gate explain publish stable
      What the policy asks for, without any release.
  stationmaster gate replay --policy stricter.toml
      What another policy would have said when past votes were closed.

Exit code 8: the gate is closed, or another policy would have differed.";

/// Ask a gate, explain it, or replay the past with another policy.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    project: project::Args,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ask a gate about a release on a train.
    Check {
        #[command(flatten)]
        meant: Meant,
        /// merge, nightly, candidate, go, publish or promote.
        #[arg(long, default_value_t = Gate::Go)]
        context: Gate,
    },
    /// Show what a gate asks for.
    Explain {
        /// merge, nightly, candidate, go, publish or promote.
        context: Gate,
        /// The channel.
        channel: Channel,
    },
    /// Ask a gate again about every release that votes were closed on.
    Replay {
        /// The policy to try, as if it had always been in force [default: the
        /// one in force then].
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// merge, nightly, candidate, go, publish or promote.
        #[arg(long, default_value_t = Gate::Go)]
        context: Gate,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    match &args.action {
        Action::Check { meant, context } => {
            let which = project.which(meant)?;
            let report = question::gate(&project.state, which.train, which.channel, *context, project.now);
            let report = report.with_context(|| format!("the train carries no {}", which.channel))?;
            ctx.data(&report)?;
            Ok(if report.open { Outcome::Done } else { Outcome::Negative })
        }
        Action::Explain { context, channel } => {
            let day = Date::of(project.now);
            let gates = project.state.rules.policy.gates(*context, *channel, day);
            let gates: Vec<_> = gates.map(|gate| (gate.id.clone(), gate.requirements.clone())).collect();
            ctx.data(&Explained { context: *context, channel: *channel, gates })?;
            Ok(Outcome::Done)
        }
        Action::Replay { policy, context } => {
            let policy = policy.as_deref().map(trial).transpose()?;
            let replayed = replay(&EventLog::open(&args.project.db)?, policy.as_ref(), *context)?;
            let differs = replayed.0.iter().any(|one| one.now_open != one.then_open);
            ctx.data(&replayed)?;
            Ok(if differs { Outcome::Negative } else { Outcome::Done })
        }
    }
}

/// A policy to try, as if it had always been in force.
fn trial(path: &Path) -> anyhow::Result<Policy> {
    let text = read_text(path, 1 << 20)?;
    let name = RuleFile::Policy.file_name();
    let mut policy = Policy::parse(&text).map_err(|problems| {
        let told = problems.iter().map(|problem| {
            Refusal::new(
                "invalid-rules",
                format!("{}:{problem}", path.display()),
                format!("mending `{name}`"),
            )
        });
        Refusals(told.collect())
    })?;
    for gate in &mut policy.gates {
        gate.valid_since = "2000-01-01".parse().expect("the literal is a date");
        gate.valid_until = None;
    }
    Ok(policy)
}

/// One release of the past, and what a gate says about it.
#[derive(Serialize)]
struct Replayed {
    channel: Channel,
    version: Version,
    decided: Date,
    then_open: bool,
    now_open: bool,
    report: Report,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Past(Vec<Replayed>);

fn replay(log: &EventLog, policy: Option<&Policy>, context: Gate) -> anyhow::Result<Past> {
    let (past, _) =
        log.fold::<Envelope, _>(Until::Newest, (State::default(), Vec::new()), |(state, past), entry| {
            if let Event::Vote(VoteEvent::Decided { decision }) = &entry.event.body {
                past.extend(ask(state, &decision.statement, policy, context));
            }
            apply(state, &entry.event);
        })?;
    Ok(Past(past.1))
}

fn ask(
    state: &State,
    decision: &sm_model::statement::Decision,
    policy: Option<&Policy>,
    context: Gate,
) -> Option<Replayed> {
    let gate = |state: &State| question::gate(state, decision.train, decision.channel, context, decision.at);
    let then = gate(state)?;
    let mut other = state.clone();
    if let Some(policy) = policy {
        other.rules.policy = policy.clone();
    }
    let report = gate(&other)?;
    Some(Replayed {
        channel: decision.channel,
        version: decision.version,
        decided: Date::of(decision.at),
        then_open: then.open,
        now_open: report.open,
        report,
    })
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("votes were never closed on anything");
        }
        let word = |open| if open { "open" } else { "closed" };
        let lines = self.0.iter().map(|one| {
            let head = format!("{} {} of {}", one.channel, one.version, one.decided);
            let mut line = match one.then_open == one.now_open {
                true => format!("{head}: {}, as it was", word(one.now_open)),
                false => format!("{head}: {}, was {}", word(one.now_open), word(one.then_open)),
            };
            for item in one.report.closing() {
                line.push_str(&format!("\n  {}: {}", item.name(), item.because));
            }
            line
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Serialize)]
struct Explained {
    context: Gate,
    channel: Channel,
    gates: Vec<(String, Vec<Requirement>)>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.gates.is_empty() {
            return write!(
                f,
                "no policy is in force for `{}` on {}: the gate is closed",
                self.context, self.channel
            );
        }
        let gate = |(id, requirements): &(String, Vec<Requirement>)| {
            let lines: Vec<String> = requirements.iter().flat_map(lines).collect();
            format!("{id}\n{}", lines.join("\n"))
        };
        f.write_str(&self.gates.iter().map(gate).collect::<Vec<_>>().join("\n"))
    }
}

fn lines(requirement: &Requirement) -> Vec<String> {
    let level = requirement.level.word();
    let asked = wanted(&requirement.ask);
    match &requirement.ask {
        Ask::Fact { fact, .. } => vec![format!("  {fact} {asked} [{level}]")],
        Ask::Tests { tests, scenarios, .. } => {
            let each = tests.iter().flat_map(|test| scenarios.iter().map(move |scenario| (test, scenario)));
            let line = |(test, scenario): (&sm_model::test_report::TestId, _)| {
                format!("  {} {asked} [{level}]", sm_release::gate::named(test.as_str(), scenario))
            };
            each.map(line).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sm_model::Channel;
    use sm_release::rules::policy::{Ask, Context, Level, Policy};
    use sm_vmtest::suite::catalog::{self, Gate, Means};

    /// The weights of the suite and of Boxcar's own policy are written down apart: here they meet.
    #[test]
    fn boxcars_policy_asks_for_every_test_of_the_suite_with_its_weight() {
        let policy = Policy::parse(include_str!("../../../os/boxcar/release/policy.toml")).unwrap();
        let day = "2026-12-01".parse().unwrap();
        let requirements = policy.gates(Context::Go, Channel::Alpha, day).flat_map(|gate| &gate.requirements);
        let asked: BTreeMap<String, Level> = requirements
            .filter_map(|requirement| match &requirement.ask {
                Ask::Tests { tests, .. } => {
                    Some(tests.iter().map(|test| (test.to_string(), requirement.level)))
                }
                Ask::Fact { .. } => None,
            })
            .flatten()
            .collect();
        let is_there = |test: &&catalog::Test| !matches!(test.means, Means::NotYet(_));
        let wanted = catalog::ALL.iter().filter(is_there).map(|test| {
            let level = match test.gate {
                Gate::NeverWaive => Level::NeverWaive,
                Gate::Blocking => Level::Blocking,
                Gate::Informing => Level::Informing,
            };
            (test.name.to_owned(), level)
        });
        assert_eq!(asked, wanted.collect::<BTreeMap<_, _>>());
    }
}
