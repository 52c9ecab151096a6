//! The point of no return and what is behind it. Every check there is runs before the first byte becomes public, and again before
//! the release is called public.

use sm_model::{
    Date, Handle, Sha256, Timestamp,
    release_event::{Event, TrainEvent},
};

use super::{
    Checks, Phase, Refusal, Refusals, Release, State, Train, Which, days, release_of, ticked,
    vote::require_steps,
};
use crate::{gate::Item, rules::policy::Context, train::question, version::newest};

/// People who must acknowledge the point of no return.
const N_ACKNOWLEDGED: usize = 2;

pub(super) fn acknowledge(state: &State, by: &Handle, which: Which) -> Result<Vec<Event>, Refusals> {
    let (_, release) = release_of(state, which)?;
    let Which { train, channel } = which;
    let mut checks = Checks::default();
    let go = question::standing_go(state, train, channel);
    checks.require(
        go.is_some(),
        "no-go",
        || format!("there is no Go for the evidence on {channel} as it is"),
        "a decision: `stationmaster go close`",
    );
    checks.require(
        state.rules.maintainers.get(by).is_some(),
        "no-maintainer",
        || format!("{by} is not in `maintainers.toml`"),
        "a maintainer",
    );
    let Some(evidence) = go.map(|decision| decision.evidence) else { return checks.into_result(vec![]) };
    checks.require(
        release.acknowledged.get(by) != Some(&evidence),
        "same-person",
        || format!("{by} has acknowledged this already"),
        "a second person",
    );
    let others =
        release.acknowledged.iter().filter(|(who, digest)| *who != by && **digest == evidence).count();
    let mut events = vec![Event::Train(TrainEvent::PointOfNoReturn { train, channel, evidence })];
    if others + 1 >= N_ACKNOWLEDGED {
        events.push(ticked(train, "R1", Some(channel), format!("{} people", others + 1)));
    }
    checks.into_result(events)
}

pub(super) fn begin(state: &State, which: Which, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let (train, release) = release_of(state, which)?;
    let evidence = permit(state, which, train, release, now)?;
    if release.phase == Phase::Publishing {
        // Interrupted: go on where it was.
        return Ok(vec![]);
    }
    let Which { train, channel } = which;
    Ok(vec![Event::Train(TrainEvent::PublishBegun { train, channel, evidence })])
}

pub(super) fn end(state: &State, which: Which, now: Timestamp) -> Result<Vec<Event>, Refusals> {
    let (train, release) = release_of(state, which)?;
    let evidence = permit(state, which, train, release, now)?;
    let mut checks = Checks::default();
    checks.require(
        release.phase == Phase::Publishing,
        "not-begun",
        || "publishing has not begun".to_owned(),
        "beginning it: `stationmaster release publish`",
    );
    let Which { train, channel } = which;
    let version = release.plan.version;
    checks.into_result(vec![
        Event::Train(TrainEvent::Published { train, channel, evidence }),
        ticked(train, "R4", Some(channel), format!("{version} is public")),
        ticked(train, "R5", Some(channel), format!("{channel} is {version}")),
    ])
}

/// Everything that must hold for a release to be public: the evidence that it may be published with.
fn permit(
    state: &State,
    which: Which,
    train: &Train,
    release: &Release,
    now: Timestamp,
) -> Result<Sha256, Refusals> {
    let Which { channel, .. } = which;
    let mut checks = Checks::default();
    let go = decided(&mut checks, state, which, now);
    gates(&mut checks, state, which, now);
    let today = Date::of(now);
    checks.extend(days::closed(state, today));
    checks.require(
        today >= train.day,
        "too-early",
        || format!("train {} goes on {}", train.id, train.day),
        "waiting for that day",
    );
    let agreed = release.acknowledged.values().filter(|digest| Some(**digest) == go).count();
    checks.require(
        agreed >= N_ACKNOWLEDGED,
        "not-acknowledged",
        || format!("{agreed} of {N_ACKNOWLEDGED} people have acknowledged the point of no return"),
        "maintainers: `stationmaster release acknowledge`",
    );
    require_steps(&mut checks, train, channel, "R4");
    let version = release.plan.version;
    let current = newest(&state.history, channel);
    checks.require(
        current.is_none_or(|current| current < version),
        "version-falls",
        || format!("{channel} has {} already, {version} is not newer", current.unwrap_or(version)),
        "a train with the next version",
    );
    checks.into_result(go.unwrap_or(Sha256([0; 32])))
}

fn decided(checks: &mut Checks, state: &State, which: Which, now: Timestamp) -> Option<Sha256> {
    let Which { train, channel } = which;
    let go = question::standing_go(state, train, channel);
    checks.require(
        go.is_some(),
        "no-go",
        || format!("there is no Go for the evidence on {channel} as it is"),
        "votes: `stationmaster go open`, `vote`, `go close`",
    );
    if let Some(decision) = go {
        checks.require(
            now < decision.until,
            "go-expired",
            || format!("the Go was good until {}", decision.until),
            "votes anew: `stationmaster go open`",
        );
    }
    go.map(|decision| decision.evidence)
}

fn gates(checks: &mut Checks, state: &State, which: Which, now: Timestamp) {
    let Which { train, channel } = which;
    for context in [Context::Go, Context::Publish] {
        let Some(report) = question::gate(state, train, channel, context, now) else { continue };
        let told = |item: &Item| {
            Refusal::new(
                "gate",
                format!("gate {context}: {}: {}", item.name(), item.because),
                item.lift.clone(),
            )
        };
        checks.extend(report.closing().map(told));
    }
}
