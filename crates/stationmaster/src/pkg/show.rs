//! Requests as people read them.

use std::fmt;

use sm_model::{
    release_event::{Envelope, Event},
    request::RequestEvent,
};
use sm_release::{
    office_hours::cost_line,
    requests::{Request, Requests, Tally, missing_for_acceptance},
    rules::Maintainers,
    train::Refusal,
};

use super::Args;
use crate::{
    context::{Context, Outcome},
    project::Project,
};

/// What was recorded, in a word and a number.
#[derive(serde::Serialize)]
pub(super) struct Recorded {
    what: &'static str,
    request: u64,
}

impl Recorded {
    pub(super) fn of(envelope: &Envelope) -> Recorded {
        let Event::Request(event) = &envelope.body else {
            return Recorded { what: "recorded", request: envelope.seq };
        };
        let (what, request) = match event {
            RequestEvent::Filed { .. } => ("request", envelope.seq),
            RequestEvent::Measured { id, .. } => ("measured", *id),
            RequestEvent::Voted { id, .. } => ("voted on", *id),
            RequestEvent::Decided { id, .. } => ("decided", *id),
        };
        Recorded { what, request }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.request)
    }
}

pub(super) fn run(args: &Args, id: Option<u64>, all: bool, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let project = Project::open(&args.project, ctx)?;
    let requests = Requests::replay(&project.events);
    let maintainers = &project.state.rules.maintainers;
    if let Some(id) = id.filter(|id| requests.get(*id).is_none()) {
        let lift = "a number from `stationmaster pkg list --all`";
        return Err(sm_release::train::Refusals::from(Refusal::new(
            "no-request",
            format!("there is no request {id}"),
            lift,
        ))
        .into());
    }
    let wanted = requests.iter().filter(|request| match id {
        Some(id) => request.id == id,
        None => all || request.is_open(),
    });
    ctx.data(&List(wanted.map(|request| Shown::of(request, maintainers)).collect()))?;
    Ok(Outcome::Done)
}

#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    request: Request,
    tally: Tally,
    lacks: Vec<Refusal>,
}

impl Shown {
    fn of(request: &Request, maintainers: &Maintainers) -> Shown {
        let is_open = request.is_open();
        Shown {
            request: request.clone(),
            tally: request.tally(maintainers),
            lacks: if is_open { missing_for_acceptance(request, maintainers) } else { Vec::new() },
        }
    }
}

#[derive(serde::Serialize)]
struct List(Vec<Shown>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing is asked for");
        }
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { id, by, asked, costs, decision, .. } = &self.request;
        let names: Vec<&str> = asked.packages.iter().map(|name| name.as_str()).collect();
        writeln!(f, "{id:>4}  {}, asked by {by}", names.join(", "))?;
        for (what, words) in
            [("for", &asked.purpose), ("instead", &asked.alternatives), ("upkeep", &asked.upkeep)]
        {
            writeln!(f, "      {what}: {}", words.escape_debug())?;
        }
        match costs.last() {
            None => writeln!(f, "      not measured yet")?,
            Some(cost) => {
                writeln!(f, "      {}", cost_line(cost))?;
                let brought: Vec<&str> = cost.packages.iter().map(|name| name.as_str()).collect();
                writeln!(f, "      brings {}", brought.join(", "))?;
                for (what, paths) in
                    [("set-user-ID", &cost.setuid), ("unit", &cost.units), ("listens", &cost.listeners)]
                {
                    paths.iter().try_for_each(|path| writeln!(f, "      {what} {}", path.escape_debug()))?;
                }
            }
        }
        let Tally { n_for, n_against, n_others_for, n_others_against } = self.tally;
        write!(
            f,
            "      maintainers: {n_for} for, {n_against} against; others: {n_others_for} for, {n_others_against} against"
        )?;
        for lack in &self.lacks {
            write!(f, "\n      lacks: {}", lack.why)?;
        }
        if let Some(decided) = decision {
            write!(f, "\n      decided by {}: {}", decided.by, decided.reason.escape_debug())?;
        }
        Ok(())
    }
}
