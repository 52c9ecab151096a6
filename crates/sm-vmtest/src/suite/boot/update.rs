//! A machine of the previous release updates to the one under test, keeps its containers, and goes back on order.

use sm_model::report::{EventKind, EventResult};

use super::{
    container,
    journey::{Traveller, Travellers},
    traits::Traits,
    updating::{self, FELL_BACK},
};
use crate::{
    host_state::HostState,
    suite::{
        bench::{Bench, Service},
        finding::{Findings, Looked, Stop},
        machine::{BOOT, Machine},
        release::Release,
    },
};

/// A file of the owner's, and what is in it.
const OWN: (&str, &str) = ("/etc/boxcar/mine", "kept");

/// The machine so far.
#[derive(Default)]
pub(super) struct Updated<'a> {
    traveller: Traveller<'a>,
    service: Option<Service>,
    before: Option<Before>,
    applied: Option<Findings>,
    lost: Vec<String>,
    returned: Option<Findings>,
}

/// The machine as the previous release left it.
#[derive(Debug, Clone)]
struct Before {
    state: HostState,
    traits: Traits,
}

impl Before {
    fn of(machine: &mut Machine<'_>) -> Result<Self, Stop> {
        Ok(Before { state: HostState::of(machine.vm())?, traits: Traits::of(machine)? })
    }

    /// What should have stayed the same and did not.
    fn lost(&self, machine: &mut Machine<'_>) -> Result<Vec<String>, Stop> {
        let mut lost = self.traits.changed_until(&Traits::of(machine)?);
        let (path, text) = OWN;
        let found = machine.ask(&format!("cat {path} 2>&1 || true"))?;
        if found != text {
            lost.push(format!("`{path}` is `{found}`, expected `{text}`"));
        }
        Ok(lost)
    }
}

impl<'a> Updated<'a> {
    /// The previous release, with a container that ran and a file of its owner.
    fn before(&mut self, bench: &Bench<'a>) -> Result<(), Stop> {
        if self.before.is_some() {
            return Ok(());
        }
        let previous = bench.previous()?;
        if self.service.is_none() {
            let service = bench.serve()?;
            service.offer(previous)?;
            self.service = Some(service);
        }
        let port = self.service.as_ref().map_or(0, Service::port);
        let before = self.traveller.step(|traveller| {
            let machine = traveller.machine(bench, || {
                bench.phase("boot");
                bench.start("a", updating::asking(bench.plan("a", previous)?, port, previous))
            })?;
            machine.healthy_boot()?;
            updating::runs(machine, previous)?;
            machine.ask(&format!("echo {} > {}", OWN.1, OWN.0))?;
            bench.phase("container");
            container::prepare(machine)?;
            Before::of(machine)
        })?;
        self.before = Some(before);
        Ok(())
    }

    /// The release under test, installed by the previous one.
    fn applied(&mut self, bench: &Bench<'a>) -> Result<&Findings, Stop> {
        self.before(bench)?;
        if self.applied.is_none() {
            let (service, before) = (self.service.as_ref(), self.before.as_ref());
            let (service, before) = (service.expect("it was started"), before.expect("it was made"));
            let (findings, lost) = self.traveller.step(|traveller| {
                let machine = traveller.same(bench)?;
                let findings = apply(bench, machine, service, (bench.release(), before))?;
                bench.phase("container");
                Ok((findings, container::missing(machine, "after the update")?))
            })?;
            self.lost.extend(lost);
            self.applied = Some(findings);
        }
        Ok(self.applied.as_ref().expect("it was made above"))
    }

    /// The previous release again, on order.
    fn returned(&mut self, bench: &Bench<'a>) -> Result<&Findings, Stop> {
        self.applied(bench)?;
        if self.returned.is_none() {
            let (service, before) = (self.service.as_ref(), self.before.as_ref());
            let (service, before) = (service.expect("it was started"), before.expect("it was made"));
            let (findings, lost) = self.traveller.step(|traveller| {
                let machine = traveller.same(bench)?;
                let findings = go_back(bench, machine, service, before)?;
                bench.phase("container");
                Ok((findings, container::missing(machine, "after going back")?))
            })?;
            self.lost.extend(lost);
            self.returned = Some(findings);
        }
        Ok(self.returned.as_ref().expect("it was made above"))
    }
}

/// Updates `machine` to `release`, and looks at everything that this should and should not have changed.
fn apply(
    bench: &Bench<'_>,
    machine: &mut Machine<'_>,
    service: &Service,
    (release, before): (&Release, &Before),
) -> Looked {
    let (os, from) = (&release.manifest().os, before.state.version);
    let told_before = service.reports()?.len();
    updating::install(bench, machine, service, release)?;
    let (_, state) = updating::comes_up(bench, machine, service, release)?;
    bench.phase("assert");
    let mut findings = Findings::of(format!("{from} updated to {}", state.version));
    findings
        .require(state.slot == before.state.slot.other(), || "the update is in the slot that ran".to_owned());
    findings.require(state.is_good(os, from), || {
        format!("{from} is not kept to go back to: {}", state.entries.join(" "))
    });
    findings.problems.extend(before.lost(machine)?);
    let told: Vec<_> = service
        .reports()?
        .split_off(told_before)
        .into_iter()
        .map(|report| (report.kind, report.result))
        .collect();
    let steps = [
        (EventKind::DownloadStarted, EventResult::Success),
        (EventKind::DownloadFinished, EventResult::Success),
        (EventKind::UpdateComplete, EventResult::Success),
        (EventKind::UpdateComplete, EventResult::SuccessReboot),
    ];
    findings.require(told == steps, || format!("it reported {told:?}, expected {steps:?}"));
    Ok(findings)
}

/// Orders the machine back to the release before, and looks at what it does there.
fn go_back(bench: &Bench<'_>, machine: &mut Machine<'_>, service: &Service, before: &Before) -> Looked {
    let (release, previous) = (bench.release(), bench.previous()?);
    bench.phase("go back");
    let told = service.reports()?.len();
    machine.ask("stationmaster-agent rollback 2>&1")?;
    let boot = machine.reboot()?;
    let state = updating::runs(machine, previous)?;
    bench.phase("assert");
    let mut findings = Findings::of(format!("went back to {}", state.version));
    findings.expect_equal("the system", boot.state.as_str(), "running");
    findings.require(state.slot == before.state.slot, || {
        "the previous release runs from the other slot".to_owned()
    });
    findings.problems.extend(before.lost(machine)?);
    let reason = updating::report(bench, service, "going back is reported", (told, BOOT), |report| {
        report.error_code == Some(FELL_BACK)
    })?;
    findings.require(
        reason.reason.as_deref().is_some_and(|reason| reason.contains("a person went back")),
        || format!("it did not report who went back: {}", updating::in_words(&reason)),
    );
    updating::is_left_alone(machine, release, &mut findings)?;
    Ok(findings)
}

/// `update.apply`: the previous release finds, installs, boots and keeps the one under test.
pub fn applied<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    travellers.update.applied(bench).cloned()
}

/// `update.rollback-manual`: a person goes back, and the machine stays there.
pub fn returned<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    travellers.update.returned(bench).cloned()
}

/// `container.update-survive`: image, container and volume are there after the update, and after going back.
pub fn containers<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    travellers.update.returned(bench)?;
    Ok(Findings::with("image, container and volume after both boots", travellers.update.lost.iter().cloned()))
}

/// `update.oldest-supported`: the oldest supported release updates to the one under test.
pub fn oldest<'a>(bench: &Bench<'a>, travellers: &mut Travellers<'a>) -> Looked {
    let oldest = bench.oldest()?;
    if bench.previous().is_ok_and(|previous| previous.manifest() == oldest.manifest()) {
        let mut findings = travellers.update.applied(bench)?.clone();
        findings.notes.push(format!("{} is the previous release, too", oldest.manifest().version));
        return Ok(findings);
    }
    let service = bench.serve()?;
    service.offer(oldest)?;
    bench.phase("boot");
    let plan = updating::asking(bench.plan("oldest", oldest)?, service.port(), oldest);
    let mut machine = bench.start("oldest", plan)?;
    machine.healthy_boot()?;
    machine.ask(&format!("echo {} > {}", OWN.1, OWN.0))?;
    let before = Before::of(&mut machine)?;
    apply(bench, &mut machine, &service, (bench.release(), &before))
}
