//! `stationmaster cal`: when releases are due, when nothing is published, and who decided so.

use std::{fmt, path::PathBuf};

use clap::Subcommand;
use serde::Serialize;
use sm_model::{Channel, Date};
use sm_release::{
    calendar::{Due, Expedite, Freeze},
    calendar_feed::{self, Entry},
    train::{Command, State},
    view::today::{channels, last_day},
};

use crate::{
    context::{Context, Outcome},
    project::{self, Project, write_new},
    told,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster cal plan
      When releases of every channel are due, and how often they really came.
  stationmaster cal freeze 2026-12-21 2027-01-03 --reason 'winter holidays'
  stationmaster cal move stable 2026-12-09 2026-12-10 --reason 'conference'
  stationmaster cal expedite 2026-12-04 --reason 'exploited in the wild'
  stationmaster cal expedite 2026-12-04 --grant
      A second person opens a closed day.
  stationmaster cal ics calendar.ics

Freezes and holidays that are known beforehand stand in `calendar.toml`.";

/// Show and change when releases are published.
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
    /// Show closed days, expedites and moves that are still to come.
    Show,
    /// Show when releases are due.
    Plan {
        /// How many releases of each channel.
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
        count: u16,
        /// Only this channel.
        #[arg(long)]
        channel: Option<Channel>,
    },
    /// Close days.
    Freeze {
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Lift a freeze.
    Thaw {
        /// Its first day.
        from: Date,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Put a due day to another day.
    Move {
        /// Whose.
        channel: Channel,
        /// Day that the cadence gives.
        from: Date,
        /// Day it is to be on.
        to: Date,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ask for leave to publish on a closed day; a second person grants it.
    Expedite {
        /// The day.
        day: Date,
        /// Why it cannot wait.
        #[arg(long, required_unless_present = "grant", default_value = "", hide_default_value = true)]
        reason: String,
        /// Grant what somebody else has asked for.
        #[arg(long, conflicts_with = "reason")]
        grant: bool,
    },
    /// Write the calendar as a feed that calendars subscribe to.
    Ics {
        /// The file; must not exist.
        file: PathBuf,
    },
}

/// Runs the action.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let mut project = Project::open(&args.project, ctx)?;
    let command = match &args.action {
        Action::Show => {
            ctx.data(&Shown::of(&project.state, Date::of(project.now)))?;
            return Ok(Outcome::Done);
        }
        Action::Plan { count, channel } => {
            ctx.data(&Plan::of(&project.state, usize::from(*count), *channel, Date::of(project.now)))?;
            return Ok(Outcome::Done);
        }
        Action::Ics { file } => {
            let feed = calendar_feed::render(
                "Releases",
                &entries(&project.state, Date::of(project.now)),
                project.now,
            );
            write_new(file, &feed)?;
            ctx.line(format!("`{}` holds the calendar", file.file_name().unwrap_or_default().display()))?;
            return Ok(Outcome::Done);
        }
        Action::Freeze { from, until, reason } => {
            Command::Freeze { from: *from, until: *until, reason: reason.clone() }
        }
        Action::Thaw { from, reason } => Command::Thaw { from: *from, reason: reason.clone() },
        Action::Move { channel, from, to, reason } => {
            Command::Move { channel: *channel, from: *from, to: *to, reason: reason.clone() }
        }
        Action::Expedite { day, grant: true, .. } => Command::GrantExpedite { day: *day },
        Action::Expedite { day, reason, .. } => Command::AskExpedite { day: *day, reason: reason.clone() },
    };
    let events = project.ask_once(command)?;
    told::tell(ctx, &events)
}

#[derive(Serialize)]
struct Shown {
    freezes: Vec<Freeze>,
    expedites: Vec<Expedite>,
    asked: Vec<Expedite>,
}

impl Shown {
    fn of(state: &State, today: Date) -> Shown {
        let calendar = state.calendar();
        let ahead = |expedites: &[Expedite]| {
            expedites.iter().filter(|expedite| expedite.day >= today).cloned().collect::<Vec<_>>()
        };
        Shown {
            expedites: ahead(&calendar.expedites),
            asked: ahead(&state.asked_expedites),
            freezes: calendar.freezes.into_iter().filter(|freeze| freeze.until >= today).collect(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is published from Friday to Sunday")?;
        for Freeze { from, until, reason } in &self.freezes {
            match from == until {
                true => write!(f, "\n{from} is closed: {reason}")?,
                false => write!(f, "\n{from} to {until} is closed: {reason}")?,
            }
        }
        for Expedite { day, reason, by } in &self.expedites {
            write!(f, "\n{day} is open: {reason} (asked by {by})")?;
        }
        for Expedite { day, reason, by } in &self.asked {
            write!(f, "\n{day} waits for a second person: {reason} (asked by {by})")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Plan {
    channels: Vec<ChannelPlan>,
}

#[derive(Serialize)]
struct ChannelPlan {
    channel: Channel,
    cadence_days: i64,
    /// Median of days between the last releases.
    real_days: Option<i64>,
    due: Vec<Due>,
}

/// Releases that the real cadence is told from.
const N_RECENT: usize = 9;

impl Plan {
    fn of(state: &State, count: usize, only: Option<Channel>, today: Date) -> Plan {
        let wanted =
            channels(state, today).into_iter().filter(|channel| only.is_none_or(|only| only == *channel));
        Plan { channels: wanted.map(|channel| ChannelPlan::of(state, channel, count, today)).collect() }
    }
}

impl ChannelPlan {
    fn of(state: &State, channel: Channel, count: usize, today: Date) -> ChannelPlan {
        let calendar = state.calendar();
        let last = last_day(&state.history, channel).unwrap_or(today);
        // What is long past is not planned any more: the first due day that is told is the last one before today at most.
        let cadence = state.rules.days.cadence(channel);
        let skipped = (today.days_since(last) / cadence - 1).max(0);
        let due = calendar.due(channel, last.plus_days(skipped * cadence), count);
        ChannelPlan { channel, cadence_days: cadence, real_days: real_days(state, channel), due }
    }
}

fn real_days(state: &State, channel: Channel) -> Option<i64> {
    let of_channel = state.history.iter().filter(|released| released.channel == channel);
    let mut days: Vec<Date> = of_channel.map(|released| Date::of(released.date)).collect();
    days.sort();
    days.dedup();
    let recent = &days[days.len().saturating_sub(N_RECENT)..];
    let mut gaps: Vec<i64> = recent.windows(2).map(|pair| pair[1].days_since(pair[0])).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channels.is_empty() {
            return f.write_str("no channel has a release yet: nothing is due");
        }
        let lines: Vec<String> = self.channels.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for ChannelPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: every {} days", self.channel, self.cadence_days)?;
        if let Some(real) = self.real_days {
            write!(f, ", lately every {real}")?;
        }
        for due in &self.due {
            write!(f, "\n  {}", due.day)?;
            if due.day != due.target {
                write!(f, " instead of {}", due.target)?;
            }
            if !due.because.is_empty() {
                write!(f, ": {}", due.because.join("; "))?;
            }
        }
        Ok(())
    }
}

/// Days ahead: trains, due days, freezes, ends of support.
fn entries(state: &State, today: Date) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |id: String, from: Date, until: Date, title: String, text: String| {
        entries.push(Entry { id, from, until, title, text });
    };
    for train in state.running() {
        let carried: Vec<String> =
            train.going().map(|(channel, release)| format!("{channel} {}", release.plan.version)).collect();
        add(
            format!("train-{}", train.id),
            train.day,
            train.day,
            format!("release: {}", carried.join(", ")),
            String::new(),
        );
    }
    for plan in Plan::of(state, 6, None, today).channels {
        for due in plan.due {
            let id = format!("due-{}-{}", plan.channel, due.target);
            add(id, due.day, due.day, format!("{} is due", plan.channel), due.because.join("; "));
        }
    }
    for freeze in state.calendar().freezes {
        add(
            format!("freeze-{}", freeze.from),
            freeze.from,
            freeze.until,
            format!("closed: {}", freeze.reason),
            String::new(),
        );
    }
    for stream in sm_release::lts::streams(&state.history) {
        let (channel, end) = (stream.channel, stream.supported_until);
        add(format!("end-{channel}"), end, end, format!("support of {channel} ends"), String::new());
    }
    entries
}
