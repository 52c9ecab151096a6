//! An update server of a test's own, and what a machine does with what it offers.

use std::time::Duration;

use sm_model::report::{EventKind, EventResult, Report};

use crate::{
    Answer, BootReport, VmPlan,
    host_state::HostState,
    suite::{
        bench::{Bench, Service},
        finding::{Findings, Stop},
        machine::{BOOT, COMMAND, Machine},
        release::Release,
    },
};

/// How long finding, downloading, verifying and writing an update takes on a guest's own processor, at most.
pub(super) const INSTALL: Duration = Duration::from_secs(40);
/// Omaha's error code of a machine that came back to its old version.
pub(super) const FELL_BACK: i64 = 44;

/// Whether a machine reboots by itself once an update is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reboot {
    /// It does.
    Itself,
    /// It waits for somebody.
    OnOrder,
}

/// The same machine, asking `port` of this one for updates from its first boot on.
pub(super) fn asking(mut plan: VmPlan, port: u16, release: &Release) -> VmPlan {
    plan.access = plan.access.with_update_server(port, &release.manifest().channel.to_string());
    plan
}

/// Lets a machine that runs ask `port` of this one for updates, as its operator would: the channel that it follows, and whether it
/// reboots by itself, are the image's own.
pub(super) fn ask_at(machine: &mut Machine<'_>, port: u16, reboot: Reboot) -> Result<(), Stop> {
    let strategy = match reboot {
        Reboot::Itself => "",
        Reboot::OnOrder => "REBOOT_STRATEGY=off",
    };
    machine.ask(&format!(
        "mkdir -p /etc/boxcar; printf '%s\\n' SERVER=http://10.0.2.2:{port}/v1/update/ {strategy} > /etc/boxcar/update.conf; sync"
    ))?;
    Ok(())
}

/// Makes the machine's agent ask now instead of within the hour. A guest's network may be up a little after its shell.
pub(super) fn check_now(machine: &mut Machine<'_>) -> Result<(), Stop> {
    machine.wait_for(
        "an answer of the update server",
        "stationmaster-agent check 2>&1",
        Answer::is_success,
        BOOT,
    )?;
    Ok(())
}

/// Waits until the machine reports something that `wanted` likes; `from` counts the reports before.
pub(super) fn report(
    bench: &Bench<'_>,
    service: &Service,
    what: &str,
    (from, within): (usize, Duration),
    wanted: impl Fn(&Report) -> bool,
) -> Result<Report, Stop> {
    bench.wait_until(what, within, || {
        let reports = service.reports()?;
        let new = reports.get(from..).unwrap_or_default();
        Ok(match new.iter().find(|report| wanted(report)) {
            Some(found) => Ok(found.clone()),
            None => Err(new.last().map_or("no report".to_owned(), in_words)),
        })
    })
}

/// The machine installs `release`, which is offered now, and reports so. With [`Reboot::Itself`] its reboot begins.
pub(super) fn install(
    bench: &Bench<'_>,
    machine: &mut Machine<'_>,
    service: &Service,
    release: &Release,
) -> Result<(), Stop> {
    bench.phase("download");
    let from = service.reports()?.len();
    service.offer(release)?;
    check_now(machine)?;
    let complete = report(bench, service, "the update is installed", (from, INSTALL), |report| {
        report.kind == EventKind::UpdateComplete
    })?;
    machine.vm().restart_clock();
    match complete.result {
        EventResult::Success => Ok(()),
        _ => Err(Stop::Broken(format!("the update is not installed: {}", in_words(&complete)))),
    }
}

/// The machine comes up in `release`, healthy, and marks it good.
pub(super) fn comes_up(
    bench: &Bench<'_>,
    machine: &mut Machine<'_>,
    service: &Service,
    release: &Release,
) -> Result<(BootReport, HostState), Stop> {
    let manifest = release.manifest();
    bench.phase("boot");
    let boot = machine.healthy_boot()?;
    runs(machine, release)?;
    bench.phase("mark good");
    report(bench, service, "the update is reported as running", (0, BOOT), |report| {
        report.kind == EventKind::UpdateComplete
            && report.result == EventResult::SuccessReboot
            && report.version == manifest.version.to_string()
    })?;
    let state = HostState::of(machine.vm())?;
    if state.is_good(&manifest.os, manifest.version) {
        Ok((boot, state))
    } else {
        Err(Stop::Broken(format!("{} is not marked good: {}", manifest.version, state.entries.join(" "))))
    }
}

/// The machine runs `release` and nothing else.
pub(super) fn runs(machine: &mut Machine<'_>, release: &Release) -> Result<HostState, Stop> {
    let state = HostState::of(machine.vm())?;
    let manifest = release.manifest();
    if (state.version, state.root_hash) == (manifest.version, manifest.usr_root_hash) {
        return Ok(state);
    }
    Err(Stop::Broken(format!(
        "{} with root hash {} runs, expected {} with {}",
        state.version, state.root_hash, manifest.version, manifest.usr_root_hash
    )))
}

/// A version that was given up is still on offer: the machine must say so, and leave it alone.
pub(super) fn is_left_alone(
    machine: &mut Machine<'_>,
    bad: &Release,
    findings: &mut Findings,
) -> Result<(), Stop> {
    let manifest = bad.manifest();
    let boot = machine.vm().guest().boot().cloned();
    let asked = machine.run("stationmaster-agent check 2>&1", COMMAND)?;
    findings.require(matches!(asked.exit, 0 | sm_model::exit::NEGATIVE), || {
        format!("asking once more ended with {}: {}", asked.exit, asked.output.trim())
    });
    let why = machine.ask("stationmaster-agent why")?;
    findings.require(why.contains(&manifest.version.to_string()), || {
        format!("`stationmaster-agent why` says nothing of {}: `{why}`", manifest.version)
    });
    let state = HostState::of(machine.vm())?;
    findings.require(state.entry(&manifest.os, manifest.version).is_none(), || {
        format!("the kernel image of {} is still there: {}", manifest.version, state.entries.join(" "))
    });
    findings.require(machine.vm().guest().boot() == boot.as_ref(), || "it rebooted meanwhile".to_owned());
    Ok(())
}

/// A report as a person reads it.
pub(super) fn in_words(report: &Report) -> String {
    let code = report.error_code.map(|code| format!(", code {code}")).unwrap_or_default();
    let reason = report.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} reports {:?} {:?}{code}{reason}", report.version, report.kind, report.result)
}
