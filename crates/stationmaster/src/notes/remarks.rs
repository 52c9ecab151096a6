//! Comments and suggestions: recording them, showing them, settling them.

use std::fmt;

use sm_host::files;
use sm_model::{FragmentId, notes::Outcome as Settlement, release_event::Event};
use sm_release::notes::{
    fragment::MAX_FRAGMENT_BYTES,
    patch,
    review::{self, Current, Refusal, Remark, Review, Said},
};

use super::{Args, Comment, Remarks, Settle, Suggest, changelog};
use crate::{
    context::{Context, Outcome},
    project::Project,
};

/// A fragment's text as it is now.
pub(super) fn text_now(args: &Args, id: &FragmentId) -> anyhow::Result<Option<String>> {
    match files::read_text(&changelog::path_of(args, id), MAX_FRAGMENT_BYTES as u64) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn comment(args: &Args, comment: &Comment, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let text = text_now(args, &comment.fragment)?;
    let current = Current { id: &comment.fragment, text: text.as_deref() };
    record(args, review::comment(current, &comment.quote, &comment.text)?, "comment", ctx)
}

pub(super) fn suggest(args: &Args, suggest: &Suggest, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let text = text_now(args, &suggest.fragment)?;
    let better = files::read_text(&suggest.text, MAX_FRAGMENT_BYTES as u64)?;
    let current = Current { id: &suggest.fragment, text: text.as_deref() };
    record(args, review::suggest(current, &better, &suggest.reason)?, "suggestion", ctx)
}

fn record(args: &Args, event: Event, what: &str, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let recorded = Project::open(&args.project, ctx)?.record(|_, _| Ok(vec![event.clone()]))?;
    ctx.data(&Recorded { what: what.to_owned(), id: recorded[0].seq })?;
    Ok(Outcome::Done)
}

#[derive(serde::Serialize)]
struct Recorded {
    what: String,
    id: u64,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.id)
    }
}

pub(super) fn settle(args: &Args, settle: &Settle, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    Project::open(&args.project, ctx)?.record(|project, _| {
        let review = Review::replay(&project.events);
        let remark = review.remarks().find(|remark| remark.id == settle.id);
        let outcome = match remark.map(|remark| &remark.what) {
            // A comment is answered; a suggestion that is not taken is turned down.
            Some(Said::Comment { .. }) => Settlement::Accepted,
            Some(Said::Suggestion { .. }) | None => Settlement::Declined,
        };
        Ok(vec![review.settle(settle.id, outcome, &settle.reason)?])
    })?;
    ctx.data(&Recorded { what: "settled".to_owned(), id: settle.id })?;
    Ok(Outcome::Done)
}

pub(super) fn show(args: &Args, which: &Remarks, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let review = Review::replay(&Project::open(&args.project, ctx)?.events);
    if let Some(id) = which.id {
        let remark = review.remarks().find(|remark| remark.id == id).ok_or(Refusal::Unknown(id))?;
        let shown = Shown { remark: remark.clone(), patch: patch_of(args, remark)? };
        ctx.data(&shown)?;
        return Ok(Outcome::Done);
    }
    let listed = review.remarks().filter(|remark| which.all || remark.settled.is_none());
    ctx.data(&List(listed.cloned().collect()))?;
    Ok(Outcome::Done)
}

/// A suggestion as a patch to the file as it is now.
fn patch_of(args: &Args, remark: &Remark) -> anyhow::Result<Option<String>> {
    let Said::Suggestion { text, .. } = &remark.what else { return Ok(None) };
    let now = text_now(args, &remark.fragment)?.unwrap_or_default();
    let path = changelog::path_of(args, &remark.fragment);
    Ok(Some(patch::unified(&path.display().to_string(), &now, text)))
}

#[derive(serde::Serialize)]
struct List(Vec<Remark>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing is open");
        }
        let lines: Vec<String> = self.0.iter().map(line).collect();
        f.write_str(&lines.join("\n"))
    }
}

fn line(remark: &Remark) -> String {
    let (what, words) = match &remark.what {
        Said::Comment { text, .. } => ("comment", text),
        Said::Suggestion { reason, .. } => ("suggestion", reason),
    };
    let state = match &remark.settled {
        None => String::new(),
        Some(settled) => {
            format!(" [{:?} by {}: {}]", settled.outcome, settled.by, settled.reason).to_lowercase()
        }
    };
    let Remark { id, by, fragment, .. } = remark;
    format!("{id:>4}  {fragment}\n      {what} of {by}: {}{state}", words.escape_debug())
}

#[derive(serde::Serialize)]
struct Shown {
    #[serde(flatten)]
    remark: Remark,
    patch: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.remark))?;
        match &self.patch {
            Some(patch) => write!(f, "\n{}", patch.trim_end()),
            None => Ok(()),
        }
    }
}
