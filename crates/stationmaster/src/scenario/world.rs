//! What happens around the people of a script: releases of before, programs that compose and test, files that change.
//!
//! Sentences, in the order of a week:
//!
//! ```text
//! * people: alice (build, notes), bob (test), carol (security)
//! * released alpha 4890.0.0 on 2026-11-18
//! * composed alpha with linux-image-6.12.1 6.12.1-1, systemd 257-1
//! * tested alpha: all pass
//! * tested alpha: all pass but boot.uefi fails, net.dhcp is flaky, ssh.hardening is missing
//! * compared alpha: openssl 3.5.4-1 -> 3.5.4-2 fixing CVE-2026-1; new setuid /usr/bin/ping; grown by 400
//! * notes accepted for alpha
//! * notes accepted for alpha, no fragment for openssl
//! * fact for alpha: keys.days-left is 30
//! * muted net.dhcp in alpha until 2026-12-10 by bob, approved by carol
//! * file policy.toml
//! * changed FILE: OLD becomes NEW
//! * room
//! * in the room, alice answers: !go
//! ```
//!
//! What else happens in a room is listed in `room.rs`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, bail};
use sm_model::{
    Board, Channel, Released, Sha256, Timestamp,
    evidence::{Candidate, ImageDiff, PackageChange, PackageChangeKind, TestLine},
    release_event::{Event, EvidenceEvent},
    test_report::{AttemptOutcome, FailureSignature, Isolation, TestId},
};
use sm_release::{
    proof::{digest_bytes, digest_of},
    quarantine::{Entry, Quarantine},
    train::{Command, command::Which},
};
use sm_store::TestHistory;

use super::{room, stage::Stage};
use crate::project::{Meant, Project};

/// Who records what happens by itself.
const SYSTEM: &str = "system";

/// Size of every /usr image before it grows.
const USR_BYTES: u64 = 100 << 20;

/// Lets something happen; gives what is said about it.
pub(super) fn happen(stage: &mut Stage, what: &str, block: &str) -> anyhow::Result<String> {
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    match verb {
        "people:" => people(stage, rest),
        "released" => released(stage, rest),
        "composed" => composed(stage, rest),
        "tested" => tested(stage, rest),
        "compared" => compared(stage, rest),
        "notes" => notes(stage, rest),
        "fact" => fact(stage, rest),
        "muted" => muted(stage, rest),
        "file" => file(stage, rest, block),
        "changed" => changed(stage, rest),
        "room" => room::open(stage),
        "in" => room::happen(stage, rest),
        _ => bail!("`{what}` is nothing that can happen: see docs/release-train.md"),
    }
}

fn people(stage: &Stage, list: &str) -> anyhow::Result<String> {
    let mut people = BTreeMap::new();
    for person in list.split("), ") {
        let (name, roles) = person.trim_end_matches(')').split_once(" (").unwrap_or((person, ""));
        let roles = roles.split(", ").filter(|role| !role.is_empty()).map(str::to_owned).collect();
        people.insert(name.trim().to_owned(), roles);
    }
    stage.people(&people)?;
    Ok(String::new())
}

/// `alpha 4890.0.0 on 2026-11-18`.
fn released(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [channel, version, "on", day] = words[..] else { bail!("expected CHANNEL VERSION on DAY") };
    let date: Timestamp = format!("{day}T12:00:00Z").parse()?;
    let release = Released { date, channel: channel.parse()?, version: version.parse()? };
    stage.with_project(SYSTEM, |project| {
        project.ask_once(Command::ImportHistory { releases: vec![release] })?;
        Ok(vec![])
    })
}

fn board() -> Board {
    "amd64-usr".parse().expect("the literal is a board")
}

fn which(project: &Project<'_>, channel: &str) -> anyhow::Result<Which> {
    project.which(&Meant { channel: Some(channel.parse::<Channel>()?), train: None })
}

/// The candidate of a channel, of which evidence is told.
fn subject(project: &Project<'_>, which: Which) -> anyhow::Result<Sha256> {
    let release = project.state.release(which.train, which.channel);
    let board = release.and_then(|(_, release)| release.boards.get(&board()));
    Ok(board.context("nothing is composed")?.inputs.candidate.manifest)
}

/// `alpha with PACKAGE VERSION, PACKAGE VERSION`.
fn composed(stage: &mut Stage, rest: &str) -> anyhow::Result<String> {
    stage.n_composed += 1;
    let n_composed = stage.n_composed;
    let (channel, packages) = rest.split_once(" with ").unwrap_or((rest, "base-files 1"));
    let mut listed = BTreeMap::new();
    for package in packages.split(", ") {
        let (name, version) = package.split_once(' ').context("expected PACKAGE VERSION")?;
        listed.insert(name.parse()?, version.parse()?);
    }
    stage.with_project(SYSTEM, |project| {
        let Which { train, channel } = which(project, channel)?;
        let plan = &project.state.release(train, channel).context("the release is gone")?.1.plan;
        let manifest = digest_bytes(format!("{channel} {} {n_composed}", plan.version).as_bytes());
        let candidate =
            Candidate { manifest, version: plan.version, usr_size_bytes: USR_BYTES, packages: listed };
        record(project, EvidenceEvent::Composed { train, channel, board: board(), candidate })
    })
}

fn record(project: &mut Project<'_>, event: EvidenceEvent) -> anyhow::Result<Vec<Event>> {
    project.ask_once(Command::Record(event))
}

/// `alpha: all pass but TEST fails, TEST is flaky, TEST is missing`.
fn tested(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let (channel, results) = rest.split_once(": all pass").context("expected CHANNEL: all pass [but …]")?;
    stage.with_project(SYSTEM, |project| {
        let Which { train, channel } = which(project, channel)?;
        let mut lines = Vec::new();
        let exceptions: Vec<&str> =
            results.strip_prefix(" but ").map(|list| list.split(", ").collect()).unwrap_or_default();
        for test in &project.state.rules.policy.tests {
            let own = exceptions.iter().find_map(|one| one.strip_prefix(test.as_str())?.strip_prefix(' '));
            lines.extend(attempts(test, own)?);
        }
        for one in &exceptions {
            let known = |test: &TestId| one.split(' ').next() == Some(test.as_str());
            if !project.state.rules.policy.tests.iter().any(known) {
                bail!("`{one}`: no such test in the policy");
            }
        }
        let subject = subject(project, Which { train, channel })?;
        let report = digest_of(&lines);
        record(
            project,
            EvidenceEvent::Tested { train, channel, board: board(), subject, report, results: lines },
        )
    })
}

/// The attempts that a word stands for.
fn attempts(test: &TestId, word: Option<&str>) -> anyhow::Result<Vec<TestLine>> {
    let line = |outcome: AttemptOutcome, isolation| TestLine {
        test: test.clone(),
        scenario: [("platform".to_owned(), "qemu".to_owned())].into(),
        isolation,
        signature: (outcome == AttemptOutcome::Fail).then(|| signature(test)),
        outcome,
    };
    let (pass, fail) = (AttemptOutcome::Pass, AttemptOutcome::Fail);
    let (suite, alone) = (Isolation::Suite, Isolation::Isolated);
    Ok(match word {
        None => vec![line(pass, suite)],
        Some("fails") => vec![line(fail, suite)],
        Some("is flaky") => vec![line(fail, suite), line(pass.clone(), alone), line(pass, alone)],
        Some("is skipped") => vec![line(AttemptOutcome::Skip { reason: "not here".to_owned() }, suite)],
        Some("is missing") => vec![],
        Some(other) => bail!("`{other}`: expected `fails`, `is flaky`, `is skipped` or `is missing`"),
    })
}

/// The signature of every failure of a test in scripts.
fn signature(test: &TestId) -> FailureSignature {
    FailureSignature(digest_bytes(test.as_str().as_bytes()))
}

/// `alpha` or `alpha: CHANGE; CHANGE`.
fn compared(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let (channel, changes) = rest.split_once(": ").unwrap_or((rest, ""));
    stage.with_project(SYSTEM, |project| {
        let Which { train, channel } = which(project, channel)?;
        let plan = &project.state.release(train, channel).context("the release is gone")?.1.plan;
        let against = plan.previous.context("there is nothing to compare with")?;
        let mut diff = ImageDiff {
            document: digest_bytes(changes.as_bytes()),
            against,
            old_usr_size_bytes: USR_BYTES,
            new_usr_size_bytes: USR_BYTES,
            packages: vec![],
            deleted_files: vec![],
            new_setuid: vec![],
            new_listeners: Some(vec![]),
        };
        for change in changes.split("; ").filter(|change| !change.is_empty()) {
            differ(&mut diff, change)?;
        }
        let subject = subject(project, Which { train, channel })?;
        record(project, EvidenceEvent::Compared { train, channel, board: board(), subject, diff })
    })
}

fn differ(diff: &mut ImageDiff, change: &str) -> anyhow::Result<()> {
    if let Some(path) = change.strip_prefix("new setuid ") {
        diff.new_setuid.push(path.to_owned());
    } else if let Some(socket) = change.strip_prefix("new listener ") {
        diff.new_listeners.get_or_insert_default().push(socket.to_owned());
    } else if let Some(path) = change.strip_prefix("deleted ") {
        diff.deleted_files.push(path.to_owned());
    } else if let Some(permille) = change.strip_prefix("grown by ") {
        let percent: u64 = permille.trim_end_matches(" %").parse().context("expected `grown by N %`")?;
        diff.new_usr_size_bytes += USR_BYTES / 100 * percent;
    } else {
        diff.packages.push(package(change)?);
    }
    Ok(())
}

/// `NAME OLD -> NEW [fixing ID, ID]`, `new package NAME VERSION`, `removed package NAME VERSION`.
fn package(change: &str) -> anyhow::Result<PackageChange> {
    let (what, fixes) = change.split_once(" fixing ").unwrap_or((change, ""));
    let fixes = fixes.split(", ").filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let words: Vec<&str> = what.split(' ').collect();
    let (kind, name, from, to) = match words[..] {
        ["new", "package", name, version] => (PackageChangeKind::Added, name, None, Some(version)),
        ["removed", "package", name, version] => (PackageChangeKind::Removed, name, Some(version), None),
        [name, from, "->", to] => (PackageChangeKind::Upgraded, name, Some(from), Some(to)),
        [name, from, "falls", "to", to] => (PackageChangeKind::Downgraded, name, Some(from), Some(to)),
        _ => bail!("`{change}` is no change: expected NAME OLD -> NEW, `new setuid PATH`, …"),
    };
    let version = |text: Option<&str>| text.map(str::parse).transpose();
    Ok(PackageChange { name: name.parse()?, kind, from: version(from)?, to: version(to)?, fixes })
}

/// `accepted for alpha[, no fragment for PACKAGE, PACKAGE]`.
fn notes(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let rest = rest.strip_prefix("accepted for ").context("expected `notes accepted for CHANNEL`")?;
    let (channel, missing) = rest.split_once(", no fragment for ").unwrap_or((rest, ""));
    let missing: Vec<String> =
        missing.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    stage.with_project(SYSTEM, |project| {
        let which = which(project, channel)?;
        crate::release::evidence::notes(project, which, &format!("notes of {channel}\n"), &missing)
    })
}

/// `for alpha: NAME is NUMBER`.
fn fact(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let parts = rest.strip_prefix("for ").and_then(|rest| rest.split_once(": "));
    let (channel, found) = parts.context("expected `fact for CHANNEL: NAME is NUMBER`")?;
    let (fact, value) = found.split_once(" is ").context("expected NAME is NUMBER")?;
    stage.with_project(SYSTEM, |project| {
        let Which { train, channel } = which(project, channel)?;
        let (fact, value) = (fact.to_owned(), value.parse()?);
        let source = "a program".to_owned();
        record(project, EvidenceEvent::Found { train, channel, fact, value, items: vec![], source })
    })
}

/// `TEST in CHANNEL until DAY by NAME, approved by NAME`.
fn muted(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = rest.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [test, "in", channel, "until", day, "by", owner, "approved", "by", approver] = words[..] else {
        bail!("expected TEST in CHANNEL until DAY by NAME, approved by NAME");
    };
    let test: TestId = test.parse()?;
    let quarantine = Quarantine {
        scenario: [("platform".to_owned(), "qemu".to_owned())].into(),
        signature: signature(&test),
        test,
        channel: channel.parse()?,
        opened: stage.now(),
        expires: format!("{day}T00:00:00Z").parse()?,
        n_extensions: 0,
        owner: owner.to_owned(),
        approved_by: approver.to_owned(),
        issue: "#1".to_owned(),
    };
    TestHistory::open(&stage.path("project.db"))?.append_quarantine(&Entry::Muted { quarantine })?;
    Ok(String::new())
}

/// `NAME`, with its text below.
fn file(stage: &Stage, name: &str, text: &str) -> anyhow::Result<String> {
    let name: sm_model::FileName = name.parse()?;
    fs::write(stage.path("rules").join(&name), text)?;
    Ok(String::new())
}

/// `FILE: OLD becomes NEW`: every place of it.
fn changed(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let parts =
        rest.split_once(": ").and_then(|(name, change)| Some((name, change.split_once(" becomes ")?)));
    let (name, (old, new)) = parts.context("expected FILE: OLD becomes NEW")?;
    let name: sm_model::FileName = name.parse()?;
    let rule = stage.path("rules").join(&name);
    let path = if rule.exists() { rule } else { stage.path(name.as_str()) };
    let text = fs::read_to_string(&path).with_context(|| format!("there is no `{name}`"))?;
    if !text.contains(old) {
        bail!("`{name}` does not say `{old}`");
    }
    fs::write(&path, text.replace(old, new))?;
    Ok(String::new())
}
