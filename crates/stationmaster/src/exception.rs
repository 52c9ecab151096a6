//! `stationmaster waiver` and `stationmaster override`: what two people take upon themselves, for one release, for everybody to see.

use std::str::FromStr;

use clap::Subcommand;
use sm_model::{ItemId, Timestamp, statement::Rule, test_report::Scenario};
use sm_release::train::{
    Command,
    draft::{self, Lift, Plea},
};

use crate::{
    context::{Context, Outcome},
    project::{self, Meant, Project},
    told,
};

const DAY_SECS: i64 = 24 * 60 * 60;

const WAIVER_EXAMPLES: &str = "\
Examples:
  stationmaster waiver ask boot.secureboot --reason 'firmware of the test host'
  stationmaster waiver second '#7'

A waiver lifts one requirement under one scenario for one manifest. Composing
anew ends it. What is marked never-waive stays, whoever says what.";

const OVERRIDE_EXAMPLES: &str = "\
Examples:
  stationmaster override ask quorum --reason '(40 characters or more)'
  stationmaster override second '#8'

An override lifts one rule of go/no-go for one poll: open-time, quorum,
role-cover, veto, objections. It stays visible in the decision for good.";

/// Waive one requirement for one release; two people, in the open.
#[derive(Debug, clap::Args)]
#[command(after_help = WAIVER_EXAMPLES)]
pub(crate) struct WaiverArgs {
    #[command(flatten)]
    project: project::Args,
    #[command(subcommand)]
    action: WaiverAction,
}

/// Override one rule of go/no-go for one poll; two people, for good.
#[derive(Debug, clap::Args)]
#[command(after_help = OVERRIDE_EXAMPLES)]
pub(crate) struct OverrideArgs {
    #[command(flatten)]
    project: project::Args,
    #[command(subcommand)]
    action: OverrideAction,
}

#[derive(Debug, Subcommand)]
enum WaiverAction {
    /// Ask for a waiver.
    Ask {
        #[command(flatten)]
        meant: Meant,
        /// The requirement, as `gate check` names it.
        requirement: String,
        /// A word of its scenario; needed where more than one fits.
        #[arg(long, value_name = "KEY=VALUE")]
        scenario: Vec<Pair>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// When it ends, in days.
        #[arg(long, default_value_t = 3)]
        days: i64,
    },
    #[command(flatten)]
    Either(Either),
}

#[derive(Debug, Subcommand)]
enum OverrideAction {
    /// Ask for an override.
    Ask {
        #[command(flatten)]
        meant: Meant,
        /// The rule: open-time, quorum, role-cover, veto or objections.
        rule: RuleWord,
        /// Why, in 40 characters or more.
        #[arg(long)]
        reason: String,
        /// When it ends, in days.
        #[arg(long, default_value_t = 3)]
        days: i64,
    },
    #[command(flatten)]
    Either(Either),
}

#[derive(Debug, Subcommand)]
enum Either {
    /// Stand behind it as the second person: it counts.
    Second {
        /// Its number.
        id: ItemId,
    },
    /// Take it back.
    Withdraw {
        /// Its number.
        id: ItemId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
struct Pair(String, String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = pair.ok_or("expected KEY=VALUE")?;
        Ok(Pair(key.to_owned(), value.to_owned()))
    }
}

#[derive(Debug, Clone, Copy)]
struct RuleWord(Rule);

impl FromStr for RuleWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rules = [Rule::OpenTime, Rule::Quorum, Rule::RoleCover, Rule::Veto, Rule::Objections];
        let known = rules.into_iter().find(|rule| rule.word() == text);
        let names: Vec<&str> = rules.iter().map(|rule| rule.word()).collect();
        known.map(RuleWord).ok_or_else(|| format!("expected one of {}", names.join(", ")))
    }
}

fn in_days(now: Timestamp, days: i64) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_unix_secs(now.unix_secs().saturating_add(days.saturating_mul(DAY_SECS)))?)
}

/// Runs the action on a waiver.
pub(crate) fn waiver(args: &WaiverArgs, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let (meant, requirement, scenario, reason, days) = match &args.action {
        WaiverAction::Ask { meant, requirement, scenario, reason, days } => {
            (meant, requirement, scenario, reason, days)
        }
        WaiverAction::Either(either) => return settle(&mut project, either, ctx),
    };
    let (which, who) = (project.which(meant)?, project.who()?);
    let scenario: Scenario = scenario.iter().map(|Pair(key, value)| (key.clone(), value.clone())).collect();
    let events = project.ask(|project| {
        let plea = Plea {
            requirement: requirement.clone(),
            scenario: scenario.clone(),
            reason: reason.clone(),
            by: who.clone(),
            expires: in_days(project.now, *days)?,
        };
        let waiver = draft::waiver(&project.state, which.train, which.channel, plea, project.now)?;
        Ok(Command::AskWaiver(project.sign(waiver, &who)?))
    })?;
    told::tell(ctx, &events)
}

/// Runs the action on an override.
pub(crate) fn override_(args: &OverrideArgs, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let (meant, rule, reason, days) = match &args.action {
        OverrideAction::Ask { meant, rule, reason, days } => (meant, rule, reason, days),
        OverrideAction::Either(either) => return settle(&mut project, either, ctx),
    };
    let (which, who) = (project.which(meant)?, project.who()?);
    let events = project.ask(|project| {
        let lift = Lift {
            rule: rule.0,
            reason: reason.clone(),
            by: who.clone(),
            expires: in_days(project.now, *days)?,
        };
        let lifted = draft::lift(&project.state, which.train, which.channel, lift, project.now)?;
        Ok(Command::AskOverride(project.sign(lifted, &who)?))
    })?;
    told::tell(ctx, &events)
}

fn settle(project: &mut Project<'_>, either: &Either, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let who = project.who()?;
    let events = project.ask(|project| match either {
        Either::Second { id } => {
            let seconding = draft::seconding(&project.state, *id, who.clone(), project.now)?;
            Ok(Command::Second(project.sign(seconding, &who)?))
        }
        Either::Withdraw { id, reason } => Ok(Command::Withdraw { id: *id, reason: reason.clone() }),
    })?;
    told::tell(ctx, &events)
}
