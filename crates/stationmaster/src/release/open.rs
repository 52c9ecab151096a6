//! `release open`: the day, the channels, the people.

use std::str::FromStr;

use sm_model::{
    Channel, Date, Handle, Role,
    train::{Move, Team, Urgency},
};
use sm_release::{soak, train::Command};

use crate::{
    context::{Context, Outcome},
    project::Project,
    told,
};

/// Open a train for a day.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The day on which it is to be published.
    day: Date,
    /// CHANNEL, or CHANNEL=new, =patch, =promote or =promote:MAJOR.
    #[arg(required = true)]
    channels: Vec<Carried>,
    /// Who leads it [default: you].
    #[arg(long, value_name = "NAME")]
    coordinator: Option<Handle>,
    /// Who does what: build=NAME, test=NAME, notes=NAME …; repeatable.
    #[arg(long, value_name = "ROLE=NAME")]
    team: Vec<Member>,
    /// It cannot wait, and why: votes are open for 30 minutes at least.
    #[arg(long, value_name = "REASON")]
    expedited: Option<String>,
}

/// A channel and what it is to get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carried {
    pub(crate) channel: Channel,
    wanted: Option<Wanted>,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    New,
    Patch,
    Promote(Option<u32>),
}

impl FromStr for Carried {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (channel, wanted) =
            text.split_once('=').map_or((text, None), |(channel, wanted)| (channel, Some(wanted)));
        let channel =
            channel.parse().map_err(|error: sm_model::channel::UnknownChannel| error.to_string())?;
        let wanted = match wanted {
            None => None,
            Some("new") => Some(Wanted::New),
            Some("patch") => Some(Wanted::Patch),
            Some("promote") => Some(Wanted::Promote(None)),
            Some(other) => {
                let major = other.strip_prefix("promote:").and_then(|major| major.parse().ok());
                let major = major.ok_or("expected `new`, `patch`, `promote` or `promote:MAJOR`")?;
                Some(Wanted::Promote(Some(major)))
            }
        };
        Ok(Carried { channel, wanted })
    }
}

impl Carried {
    /// The move, where one was asked for; a promotion without a branch takes the newest.
    pub(crate) fn wanted(&self, project: &Project<'_>) -> Option<Move> {
        match self.wanted? {
            Wanted::New => Some(Move::NewBranch),
            Wanted::Patch => Some(Move::Patch),
            Wanted::Promote(Some(major)) => Some(Move::Promote { major }),
            Wanted::Promote(None) => {
                let state = &project.state;
                let up = soak::promotable(&state.history, &state.contents, self.channel, &[], project.now);
                // Without any branch the refusal says that there is none.
                Some(Move::Promote { major: up.first().map_or(0, |branch| branch.major) })
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Member(Role, Handle);

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, name) = text.split_once('=').ok_or("expected ROLE=NAME")?;
        let role = role.parse().map_err(|error: sm_model::person::UnknownRole| error.to_string())?;
        let name = name.parse().map_err(|error: sm_model::person::InvalidHandle| error.to_string())?;
        Ok(Member(role, name))
    }
}

pub(super) fn run(args: &Args, project: &mut Project<'_>, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let coordinator = args.coordinator.clone().map_or_else(|| project.who(), Ok)?;
    let team: Team = args.team.iter().map(|Member(role, name)| (*role, name.clone())).collect();
    let urgency = match &args.expedited {
        None => Urgency::Normal,
        Some(reason) => Urgency::Expedited { reason: reason.clone() },
    };
    let events = project.ask(|project| {
        Ok(Command::Open {
            day: args.day,
            urgency: urgency.clone(),
            coordinator: coordinator.clone(),
            team: team.clone(),
            wanted: args.channels.iter().map(|carried| (carried.channel, carried.wanted(project))).collect(),
        })
    })?;
    told::tell(ctx, &events)
}
