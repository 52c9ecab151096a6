//! Waivers, overrides and blockers.

use sm_model::{
    Channel, Handle, ItemId, Sha256, Timestamp,
    release_event::{BlockerEvent, Event, ExceptionEvent, Resolution},
    statement::{Override, Seconding, Signed, Waiver},
};

use super::{
    Checks, Refusal, Refusals, State, Which, release_of, require_reason,
    vote::{fresh, require_strength},
};
use crate::{
    gate,
    proof::{self, Strength, digest_of},
    rules::policy::{Context, Level},
    train::{draft::next_item, question},
};

/// Characters of an override's reason at least: it stays on the release's page for good.
const MIN_OVERRIDE_REASON: usize = 40;
/// Days that a waiver or an override lasts at most.
pub(crate) const MAX_TERM_DAYS: i64 = 14;

/// Whether a maintainer said it and signed.
fn by_maintainer<T: serde::Serialize>(checks: &mut Checks, state: &State, by: &Handle, signed: &Signed<T>) {
    match state.rules.maintainers.get(by) {
        Some(person) => {
            require_strength(checks, proof::check(signed, &person.keys), Strength::Signature, by);
        }
        None => checks.push(Refusal::new(
            "no-maintainer",
            format!("{by} is not in `maintainers.toml`"),
            "a maintainer",
        )),
    }
}

fn term(checks: &mut Checks, at: Timestamp, expires: Timestamp) {
    const DAY_SECS: i64 = 24 * 60 * 60;
    checks.require(
        at < expires && expires.secs_since(at) <= MAX_TERM_DAYS * DAY_SECS,
        "term",
        || format!("it ends at {expires}"),
        format!("an end within {MAX_TERM_DAYS} days"),
    );
}

fn numbered(checks: &mut Checks, state: &State, id: ItemId) {
    let next = next_item(state);
    checks.require(
        id == next,
        "other-number",
        || format!("it has the number {id}, the next one is {next}"),
        "making the statement anew: somebody else was quicker",
    );
}

pub(super) fn ask_waiver(
    state: &State,
    signed: Signed<Waiver>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusals> {
    let waiver = &signed.statement;
    let mut checks = Checks::default();
    fresh(&mut checks, waiver.at, now);
    numbered(&mut checks, state, waiver.id);
    term(&mut checks, waiver.at, waiver.expires);
    require_reason(&mut checks, &waiver.reason, 1);
    by_maintainer(&mut checks, state, &waiver.by, &signed);
    checks.require(
        waiver.format == Waiver::FORMAT && is_candidate(state, waiver.manifest),
        "no-candidate",
        || format!("no release on its way has the manifest {:.12}", waiver.manifest.to_string()),
        "the manifest of a candidate",
    );
    let same = state.waivers.iter().find(|(_, known)| {
        let asked = &known.asked.statement;
        let about = |waiver: &Waiver| (waiver.manifest, waiver.requirement.clone(), waiver.scenario.clone());
        about(asked) == about(waiver) && known.withdrawn.is_none() && now < asked.expires
    });
    asked_once(&mut checks, same.map(|(id, _)| *id));
    checks.require(
        !is_never_waived(state, waiver, now),
        "never-waive",
        || format!("{} is never waived", gate::named(&waiver.requirement, &waiver.scenario)),
        "a candidate that fulfils it",
    );
    checks.into_result(vec![Event::Exception(ExceptionEvent::WaiverAsked { waiver: signed })])
}

fn asked_once(checks: &mut Checks, known: Option<ItemId>) {
    if let Some(id) = known {
        checks.push(Refusal::new(
            "asked-already",
            format!("{id} asks for the same"),
            format!("a second person standing behind {id}, or taking it back first"),
        ));
    }
}

/// Whether every gate that asks for it says that nobody may waive it.
fn is_never_waived(state: &State, waiver: &Waiver, now: Timestamp) -> bool {
    let running = state.running();
    let releases =
        running.iter().flat_map(|train| train.going().map(|(channel, release)| (train.id, channel, release)));
    let meant =
        releases.filter(|(.., release)| release.manifests().any(|manifest| manifest == waiver.manifest));
    let reports = meant.flat_map(|(train, channel, _)| {
        Context::ALL.iter().filter_map(move |context| question::gate(state, train, channel, *context, now))
    });
    let mut levels = reports
        .flat_map(|report| report.items)
        .filter(|item| item.requirement == waiver.requirement && item.scenario == waiver.scenario)
        .map(|item| item.level)
        .peekable();
    levels.peek().is_some() && levels.all(|level| level == Level::NeverWaive)
}

fn is_candidate(state: &State, manifest: Sha256) -> bool {
    let running = state.running();
    let releases = running.iter().flat_map(|train| train.going());
    releases.into_iter().any(|(_, release)| release.manifests().any(|candidate| candidate == manifest))
}

pub(super) fn ask_override(
    state: &State,
    signed: Signed<Override>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusals> {
    let lifted = &signed.statement;
    let which = Which { train: lifted.train, channel: lifted.channel };
    let (_, release) = release_of(state, which)?;
    let mut checks = Checks::default();
    fresh(&mut checks, lifted.at, now);
    numbered(&mut checks, state, lifted.id);
    term(&mut checks, lifted.at, lifted.expires);
    require_reason(&mut checks, &lifted.reason, MIN_OVERRIDE_REASON);
    by_maintainer(&mut checks, state, &lifted.by, &signed);
    let same = state.overrides.iter().find(|(_, known)| {
        let asked = &known.asked.statement;
        (asked.rule, asked.evidence) == (lifted.rule, lifted.evidence)
            && known.withdrawn.is_none()
            && now < asked.expires
    });
    asked_once(&mut checks, same.map(|(id, _)| *id));
    let poll = release.poll().filter(|poll| poll.decision.is_none());
    checks.require(
        poll.is_some_and(|poll| poll.poll.evidence == lifted.evidence) && lifted.format == Override::FORMAT,
        "stale-evidence",
        || "votes on this evidence are not open".to_owned(),
        "an override for the votes that are open",
    );
    checks.into_result(vec![Event::Exception(ExceptionEvent::OverrideAsked { lifted: signed })])
}

/// Who asked for a waiver or override, the digest of what they said, and whether somebody seconded it.
fn asked(state: &State, id: ItemId) -> Option<(&Handle, Sha256, bool)> {
    let waiver = state.waivers.get(&id).map(|waiver| {
        let statement = &waiver.asked.statement;
        (&statement.by, digest_of(statement), waiver.seconded.is_some() || waiver.withdrawn.is_some())
    });
    waiver.or_else(|| {
        state.overrides.get(&id).map(|lifted| {
            let statement = &lifted.asked.statement;
            (&statement.by, digest_of(statement), lifted.seconded.is_some() || lifted.withdrawn.is_some())
        })
    })
}

fn no_item(id: ItemId) -> Refusals {
    let why = format!("there is no waiver or override {id}");
    Refusal::new("no-item", why, "a number from `stationmaster status`").into()
}

pub(super) fn second(
    state: &State,
    signed: Signed<Seconding>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusals> {
    let seconding = &signed.statement;
    let (by, statement, settled) = asked(state, seconding.id).ok_or_else(|| no_item(seconding.id))?;
    let mut checks = Checks::default();
    fresh(&mut checks, seconding.at, now);
    by_maintainer(&mut checks, state, &seconding.by, &signed);
    checks.require(*by != seconding.by, "same-person", || format!("{by} asked for it"), "a second person");
    checks.require(
        statement == seconding.statement,
        "other-statement",
        || format!("what was asked for as {} is something else", seconding.id),
        "making the statement anew",
    );
    checks.require(
        !settled,
        "settled",
        || format!("{} was seconded or withdrawn already", seconding.id),
        "nothing",
    );
    checks.into_result(vec![Event::Exception(ExceptionEvent::Seconded { seconding: signed })])
}

pub(super) fn withdraw(state: &State, id: ItemId, reason: String) -> Result<Vec<Event>, Refusals> {
    asked(state, id).ok_or_else(|| no_item(id))?;
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.into_result(vec![Event::Exception(ExceptionEvent::Withdrawn { id, reason })])
}

pub(super) fn open_blocker(
    state: &State,
    by: &Handle,
    title: String,
    channels: Vec<Channel>,
    issue: String,
) -> Result<Vec<Event>, Refusals> {
    let mut checks = Checks::default();
    checks.require(
        !title.trim().is_empty(),
        "no-title",
        || "the blocker has no title".to_owned(),
        "a title in one line",
    );
    checks.require(
        !channels.is_empty(),
        "no-channel",
        || "the blocker holds up nothing".to_owned(),
        "naming channels with `--channel`",
    );
    let is_so = state.blockers.values().any(|known| {
        known.closed.is_none() && known.by == *by && known.title == title && known.channels == channels
    });
    let id = next_item(state);
    let opened = Event::Blocker(BlockerEvent::Opened { id, title, channels, issue });
    checks.into_result(if is_so { vec![] } else { vec![opened] })
}

pub(super) fn close_blocker(
    state: &State,
    by: &Handle,
    id: ItemId,
    resolution: Resolution,
    reason: String,
) -> Result<Vec<Event>, Refusals> {
    let blocker = state.blockers.get(&id).ok_or_else(|| {
        let why = format!("there is no blocker {id}");
        Refusals::from(Refusal::new("no-item", why, "a number from `stationmaster status`"))
    })?;
    let mut checks = Checks::default();
    require_reason(&mut checks, &reason, 1);
    checks.require(blocker.closed.is_none(), "settled", || format!("{id} is closed already"), "nothing");
    let leads = |train: &&super::Train| {
        train.team.get(&sm_model::Role::Coordinator) == Some(by)
            && train.going().any(|(channel, _)| blocker.channels.contains(&channel))
    };
    let coordinates = state.running().iter().any(leads);
    // Whoever wants the train to go does not talk its blockers away.
    checks.require(
        resolution == Resolution::Fixed || blocker.by == *by || !coordinates,
        "own-train",
        || format!("{by} coordinates a train that {id} holds up"),
        format!("{}, who opened it, or another maintainer", blocker.by),
    );
    checks.require(
        blocker.by == *by || state.rules.maintainers.get(by).is_some(),
        "no-maintainer",
        || format!("{by} did not open it and is not in `maintainers.toml`"),
        format!("{}, who opened it, or a maintainer", blocker.by),
    );
    checks.into_result(vec![Event::Blocker(BlockerEvent::Closed { id, resolution, reason })])
}
