//! Drafts: releases and fragments in, one document out, rendered for whoever asked.

use std::{collections::BTreeSet, path::Path};

use sm_compose::{diff::source_updates, recipe, release::ReleaseDir};
use sm_model::{
    Date, FragmentId,
    notes::{ReleaseNotes, Since},
    release_event::{Event, EvidenceEvent},
};
use sm_release::notes::{self, Fragment, draft};

use super::{Args, Compared, Draft, Format, changelog};
use crate::{
    context::{Context, Outcome},
    named,
    project::Project,
};

pub(super) fn run(args: &Args, draft: &Draft, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let changelog = changelog::read_sound(args)?;
    let notes = make(args, &draft.compared, &changelog.fragments, &Project::open(&args.project, ctx)?, ctx)?;
    for what in draft::unexplained(&notes) {
        ctx.progress.note(&format!("no fragment tells that {what}"));
    }
    for what in draft::unconfirmed(&notes) {
        ctx.progress.note(&what);
    }
    let format = if ctx.json { Format::Json } else { draft.format };
    let text = match format {
        Format::Markdown => notes::markdown::render(&notes),
        Format::Html => notes::html::render(&notes),
        Format::Mail => notes::mail::render(&notes),
        Format::Motd => notes::motd::render(&notes),
        Format::Json => return ctx.json_document(&notes).map(|()| Outcome::Done),
    };
    ctx.line(text.trim_end())?;
    Ok(Outcome::Done)
}

/// The notes of a release as they are now.
pub(super) fn make(
    args: &Args,
    compared: &Compared,
    fragments: &[Fragment],
    project: &Project<'_>,
    ctx: &Context<'_>,
) -> anyhow::Result<ReleaseNotes> {
    let new = named::open(&compared.root, &compared.release)?;
    let older = [&compared.against, &compared.lower].into_iter().flatten();
    let mut comparisons = older
        .map(|old| {
            comparison(&named::open(&compared.root, old)?, &new, compared.since, fragments, project, ctx)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    if comparisons.is_empty() {
        let known = compared.since.map(|day| up_to(day, fragments)).unwrap_or_default();
        comparisons.push(draft::Compared { since: None, known, packages: Vec::new() });
    }
    let subject = draft::Subject {
        os: recipe::load(&args.recipe, &[])?.os.name,
        channel: new.manifest().channel,
        version: new.manifest().version,
    };
    Ok(notes::draft(subject, fragments, comparisons))
}

fn comparison(
    old: &ReleaseDir,
    new: &ReleaseDir,
    since: Option<Date>,
    fragments: &[Fragment],
    project: &Project<'_>,
    ctx: &Context<'_>,
) -> anyhow::Result<draft::Compared> {
    let manifest = old.manifest();
    let older = Since { channel: manifest.channel, version: manifest.version };
    let known = match (since, accepted(older, project)?) {
        (Some(day), _) => up_to(day, fragments),
        (None, Some(notes)) => notes.inventory,
        (None, None) => {
            let day = Date::of(manifest.source_date);
            ctx.progress.note(&format!(
                "no notes of {} {} were accepted here: fragments up to {day}, its date, count as known",
                older.channel, older.version
            ));
            up_to(day, fragments)
        }
    };
    let packages = source_updates(&old.lock()?, &new.lock()?, &new.changelogs()?);
    Ok(draft::Compared { since: Some(older), known, packages })
}

fn up_to(day: Date, fragments: &[Fragment]) -> BTreeSet<FragmentId> {
    let old = fragments.iter().filter(|fragment| fragment.id.date() <= day);
    old.map(|fragment| fragment.id.clone()).collect()
}

/// The notes of a release that were accepted last.
pub(super) fn accepted(release: Since, project: &Project<'_>) -> anyhow::Result<Option<ReleaseNotes>> {
    for event in project.events.iter().rev() {
        let Event::Evidence(EvidenceEvent::NotesAccepted { channel, notes, .. }) = &event.body else {
            continue;
        };
        if *channel != release.channel {
            continue;
        }
        let notes: ReleaseNotes = serde_json::from_slice(&project.blobs().get(notes)?)?;
        if notes.version == release.version {
            return Ok(Some(notes));
        }
    }
    Ok(None)
}

/// Whether a word names a release rather than a remark.
pub(super) fn names_release(what: &Path) -> bool {
    what.to_str().is_none_or(|text| text.parse::<u64>().is_err())
}
