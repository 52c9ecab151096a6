//! The release under test updates itself: to releases that follow it, into either slot, and back from one that is not healthy.

use sm_model::{
    Version,
    report::{EventKind, EventResult},
};

use super::{
    successor::{Health, Maker},
    traits::Traits,
    updating::{self, FELL_BACK, Reboot},
};
use crate::{
    VmError,
    host_state::HostState,
    suite::{
        bench::{Bench, Service},
        finding::{Findings, Looked, Stop},
        machine::{BOOT, COMMAND, Machine},
        release::Release,
    },
};

/// Boots that a machine may need until it has given a release up: the tries of its boot entry, and some that were cut short.
const MAX_BOOTS: u32 = 8;
/// Tries that a fresh boot entry has.
const TRIES: u32 = 3;
/// A file of the owner's, and what is in it.
const OWN: (&str, &str) = ("/etc/boxcar/mine", "kept");

/// `update.self`: the release's own agent installs what follows, and what follows installs what follows that, in the other slot.
pub fn itself(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut maker = Maker::new(bench)?;
    maker.check_trust(machine)?;
    let service = asked(bench, machine, Reboot::Itself)?;
    let mut findings = Findings::of("two updates");
    let mut before = HostState::of(machine.vm())?;
    let traits = Traits::of(machine)?;
    for nth in 1..=2 {
        let next = maker.make(nth, Health::Good)?;
        updating::install(bench, machine, &service, &next)?;
        let (_, state) = updating::comes_up(bench, machine, &service, &next)?;
        findings.require(state.slot == before.slot.other(), || {
            format!("{} is in slot {:?}, which ran", state.version, state.slot)
        });
        findings.notes.push(format!("{} runs from slot {:?}", state.version, state.slot));
        before = state;
    }
    findings.problems.extend(traits.changed_until(&Traits::of(machine)?));
    Ok(findings)
}

/// `update.rollback-auto`: a release that is not healthy is tried until its tries are spent, taken back, told and left alone.
pub fn taken_back(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut maker = Maker::new(bench)?;
    maker.check_trust(machine)?;
    let bad = maker.make(1, Health::Unhealthy)?;
    drop(maker);
    let service = asked(bench, machine, Reboot::Itself)?;
    machine.ask(&format!("echo {} > {}; sync", OWN.1, OWN.0))?;
    let (before, traits) = (HostState::of(machine.vm())?, Traits::of(machine)?);
    updating::install(bench, machine, &service, &bad)?;
    let told = service.reports()?.len();
    bench.phase("fall back");
    let tries = boots_until_back(machine, &bad, before.version)?;
    bench.note(&format!("it booted {} {tries} times", bad.manifest().version));

    bench.phase("assert");
    let mut findings = Findings::of(format!("came back after {tries} boots of {}", bad.manifest().version));
    findings.require((1..=TRIES).contains(&tries), || format!("{tries} boots of it, expected 1 to {TRIES}"));
    let state = HostState::of(machine.vm())?;
    findings.require((state.slot, state.root_hash) == (before.slot, before.root_hash), || {
        format!("{} in slot {:?} runs, expected what ran before", state.root_hash, state.slot)
    });
    findings.problems.extend(traits.changed_until(&Traits::of(machine)?));
    findings.expect_equal(OWN.0, machine.ask(&format!("cat {}", OWN.0))?.as_str(), OWN.1);
    findings.problems.extend(reason(bench, &service, told)?);
    updating::is_left_alone(machine, &bad, &mut findings)?;
    Ok(findings)
}

/// The machine asks an update server of its own from now on, which has nothing newer yet.
fn asked(bench: &Bench<'_>, machine: &mut Machine<'_>, reboot: Reboot) -> Result<Service, Stop> {
    let service = bench.serve()?;
    service.offer(bench.release())?;
    updating::ask_at(machine, service.port(), bench.release(), reboot)?;
    Ok(service)
}

/// Watches boot after boot until the `good` version runs again and is healthy; returns how many boots of `bad` came to a shell.
fn boots_until_back(machine: &mut Machine<'_>, bad: &Release, good: Version) -> Result<u32, Stop> {
    let mut tries = 0;
    for _ in 0..MAX_BOOTS {
        machine.next_shell()?;
        let running = running(machine)?;
        if running == Some(good) {
            let report = machine.present_boot()?;
            return match report.is_healthy() {
                true => Ok(tries),
                false => Err(Stop::Broken(format!("after the fall back, {}", report.in_words()))),
            };
        }
        tries += u32::from(running == Some(bad.manifest().version));
    }
    Err(Stop::Broken(format!("{good} did not run again within {MAX_BOOTS} boots")))
}

/// The version that runs; none when the machine rebooted before it answered.
fn running(machine: &mut Machine<'_>) -> Result<Option<Version>, Stop> {
    let deadline = machine.within(COMMAND);
    let asked = machine.vm().guest().run_ok(". /usr/lib/os-release; echo \"$VERSION_ID\"", deadline);
    match asked {
        Ok(version) => Ok(version.parse().ok()),
        Err(VmError::Rebooted { .. } | VmError::TimedOut { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with the reason that the machine told.
fn reason(bench: &Bench<'_>, service: &Service, from: usize) -> Result<Option<String>, Stop> {
    let told = updating::report(bench, service, "the failure is reported", (from, BOOT), |report| {
        report.kind == EventKind::UpdateComplete
            && report.result == EventResult::Error
            && report.error_code == Some(FELL_BACK)
    })?;
    let names_it = told.reason.as_deref().is_some_and(|reason| reason.contains("containerd.service"));
    Ok((!names_it)
        .then(|| format!("the report does not name the unit that failed: {}", updating::in_words(&told))))
}
