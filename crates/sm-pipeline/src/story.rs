//! One machine's life: it boots a release, updates itself, is offered a bad release, and comes back to the good one. Every step
//! ends with a check of what the machine, and the update server, say about it.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;
use sm_compose::release::ReleaseDir;
use sm_host::qemu::programs::BaseFormat;
use sm_model::{
    ArtifactKind, Version, exit,
    report::{EventKind, EventResult, Report},
};
use sm_vmtest::{
    Answer, BootReport, Deadline, Vm, VmError, VmPlan,
    endpoint::{Endpoint, Served, StartEndpoint},
    host_state::{HostState, Slot},
    vm::{Screen, VmHost},
};

use crate::{
    Error,
    journal::{Journal, Step},
};

/// How long a boot takes on a guest's own processor, at most.
const BOOT: Duration = Duration::from_secs(20);
/// How long finding, downloading, verifying and writing an update takes there, at most.
const INSTALL: Duration = Duration::from_secs(40);
/// How long a short command takes there, at most.
const COMMAND: Duration = Duration::from_secs(5);
/// Boots that a machine may need until it has given up a bad release: the tries of its boot entry, and some that were cut short.
const MAX_BOOTS: u32 = 8;
/// Omaha's error code of a machine that fell back.
const FELL_BACK: i64 = 44;

/// A machine and the update server that it asks.
pub struct Story {
    vm: Vm,
    server: Box<dyn Endpoint>,
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Story").field("vm", &self.vm).finish_non_exhaustive()
    }
}

/// What a machine did with a bad release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The bad release.
    pub version: Version,
    /// How often the machine booted it.
    pub boots: u32,
    /// The reason that it told the server.
    pub reason: String,
    /// What it says to whoever asks why it does not update.
    pub why: String,
}

impl Story {
    /// Starts the server, which offers nothing newer than `release`, and a machine from `release`'s image with its files in `dir`.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub fn begin(
        host: &VmHost<'_>,
        served: &Served,
        start: StartEndpoint<'_>,
        release: &ReleaseDir,
        dir: PathBuf,
    ) -> Result<Self, Error> {
        release.make_current()?;
        let server = start(served).map_err(Error::Server)?;
        let image = release.path_of(ArtifactKind::QemuImage)?;
        let manifest = release.manifest();
        let mut plan = VmPlan::new(manifest.board.0, image, BaseFormat::Qcow2, dir);
        plan.access = plan.access.with_update_server(server.port(), &manifest.channel.to_string());
        plan.screen = Screen::Off;
        let vm = Vm::start(host, &plan)?;
        Ok(Story { vm, server })
    }

    /// Where the machine's console is written.
    pub fn console(&self) -> PathBuf {
        self.vm.console().path().to_owned()
    }

    /// The machine comes up and runs `release`.
    ///
    /// # Errors
    /// When it does not, or is not healthy.
    pub fn first_boot(
        &mut self,
        journal: &mut Journal<'_>,
        release: &ReleaseDir,
    ) -> Result<BootReport, Error> {
        let name = format!("boot {} through UEFI", release.manifest().version);
        journal.step(&name, |step| {
            let report = self.next_boot(step)?;
            expect_healthy(&report)?;
            let state = HostState::of(&mut self.vm)?;
            expect_running(&state, release)?;
            expect(state.slot == Slot::A, "the first release in slot A", "it in slot B")?;
            Ok(report)
        })
    }

    /// The machine finds `release`, installs it into its passive slot, reboots, runs it and marks it good.
    ///
    /// # Errors
    /// When one of these does not happen in time or not as it should.
    pub fn update(&mut self, journal: &mut Journal<'_>, release: &ReleaseDir) -> Result<BootReport, Error> {
        let version = release.manifest().version;
        let before = HostState::of(&mut self.vm)?;
        journal.step(&format!("install {version} by its own agent"), |step| {
            step.count_bytes(payload_bytes(release));
            let reported = self.offer(release)?;
            self.wait_for_install(step, reported)
        })?;
        let report = journal.step(&format!("reboot into {version}"), |step| {
            let report = self.next_boot(step)?;
            expect_healthy(&report)?;
            let state = HostState::of(&mut self.vm)?;
            expect_running(&state, release)?;
            expect(state.slot == before.slot.other(), "the update in the other slot", "it in the same one")?;
            Ok(report)
        })?;
        journal.step(&format!("{version} is marked good"), |step| self.wait_until_good(step, release))?;
        Ok(report)
    }

    /// The machine tries a `bad` release, gives it up, comes back to `good`, says why, and does not try again.
    ///
    /// # Errors
    /// When one of these does not happen in time or not as it should.
    pub fn fall_back(
        &mut self,
        journal: &mut Journal<'_>,
        bad: &ReleaseDir,
        good: &ReleaseDir,
    ) -> Result<Rejected, Error> {
        let version = bad.manifest().version;
        let reported = journal.step(&format!("install {version}, which is broken"), |step| {
            step.count_bytes(payload_bytes(bad));
            let reported = self.offer(bad)?;
            self.wait_for_install(step, reported)?;
            Ok(reported)
        })?;
        let fallback = format!("try {version}, fall back to {}", good.manifest().version);
        let boots = journal.step(&fallback, |step| self.wait_for_fallback(step, bad, good))?;
        let reason = journal.step("the server is told why", |step| self.wait_for_reason(step, reported))?;
        let why =
            journal.step(&format!("{version} is not tried again"), |_| self.expect_no_retry(bad, good))?;
        Ok(Rejected { version, boots, reason, why })
    }

    /// Everything that the machine reported, oldest first.
    ///
    /// # Errors
    /// When the server's database cannot be read.
    pub fn reports(&self) -> Result<Vec<Report>, Error> {
        self.server.reports().map_err(Error::Server)
    }

    /// Powers the machine down.
    ///
    /// # Errors
    /// When it does not power down in time.
    pub fn end(self, journal: &mut Journal<'_>) -> Result<(), Error> {
        journal.step("power off", |_| Ok(self.vm.power_down()?))
    }

    /// Makes the server offer `release` and the machine's agent ask now instead of within the hour; returns what was reported before.
    fn offer(&mut self, release: &ReleaseDir) -> Result<usize, Error> {
        let reported = self.reports()?.len();
        release.make_current()?;
        // The service does the rest: it notices what the check has found. A guest's network may be up a little after its shell.
        let deadline = self.vm.pace().within(INSTALL);
        self.vm.guest().wait_for(
            "an answer of the update server",
            "stationmaster-agent check 2>&1",
            Answer::is_success,
            deadline,
        )?;
        Ok(reported)
    }

    /// Waits until the machine reports that an update is installed. `from` counts the reports before it was offered.
    fn wait_for_install(&mut self, step: &Step, from: usize) -> Result<(), Error> {
        let complete = self.wait_for_report(step, "the update is installed", INSTALL, from, |report| {
            report.kind == EventKind::UpdateComplete
        })?;
        self.vm.restart_clock();
        expect(
            complete.result == EventResult::Success,
            "an update that is complete",
            &format!(
                "one that failed: {}",
                complete.reason.unwrap_or_else(|| "no reason was told".to_owned())
            ),
        )
    }

    fn wait_for_report(
        &self,
        step: &Step,
        what: &str,
        at_full_speed: Duration,
        from: usize,
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<Report, Error> {
        let deadline = self.vm.pace().within(at_full_speed);
        loop {
            let reports = self.reports()?;
            let new = reports.get(from..).unwrap_or_default();
            if let Some(found) = new.iter().find(|report| wanted(report)) {
                return Ok(found.clone());
            }
            let last = new.last().map_or("nothing".to_owned(), in_words);
            step.detail(&last);
            if deadline.left().is_none() {
                return Err(self.late(what, deadline, &last).into());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn late(&self, what: &str, deadline: Deadline, last: &str) -> VmError {
        VmError::TimedOut {
            what: what.to_owned(),
            secs: deadline.allowed().as_secs(),
            seen: format!(
                "the machine last reported: {last}; its console said last: {}",
                self.vm.console().tail(5).join(" | ")
            ),
            console: self.console(),
        }
    }

    fn next_boot(&mut self, step: &Step) -> Result<BootReport, Error> {
        let deadline = self.vm.pace().within(BOOT);
        Ok(BootReport::of_next_boot(&mut self.vm, deadline, &mut |line| step.detail(line))?)
    }

    fn wait_until_good(&mut self, step: &Step, release: &ReleaseDir) -> Result<(), Error> {
        let (os, version) = (release.manifest().os.clone(), release.manifest().version);
        let deadline = self.vm.pace().within(BOOT);
        loop {
            let state = HostState::of(&mut self.vm)?;
            if state.is_good(&os, version) {
                break;
            }
            step.detail(state.entry(&os, version).unwrap_or("no boot entry"));
            if deadline.left().is_none() {
                let entries = state.entries.join(", ");
                return Err(Error::unexpected(format!("`{os}_{version}.efi`, marked good"), entries));
            }
            std::thread::sleep(LOOK);
        }
        self.wait_for_report(step, "the update is reported as running", BOOT, 0, |report| {
            report.kind == EventKind::UpdateComplete
                && report.result == EventResult::SuccessReboot
                && report.version == version.to_string()
        })?;
        Ok(())
    }

    /// Watches boot after boot until the good release runs again; returns how many boots the bad one got.
    fn wait_for_fallback(&mut self, step: &Step, bad: &ReleaseDir, good: &ReleaseDir) -> Result<u32, Error> {
        let mut tries = 0;
        for _ in 0..MAX_BOOTS {
            let deadline = self.vm.pace().within(BOOT);
            self.vm.wait_for_boot(deadline, &mut |line| step.detail(line))?;
            let running = self.running_version()?;
            if running == Some(good.manifest().version) {
                let report = BootReport::of_present_boot(&mut self.vm, deadline)?;
                expect_healthy(&report)?;
                expect_running(&HostState::of(&mut self.vm)?, good)?;
                expect(tries > 0, "the broken release to be tried", "no boot of it")?;
                return Ok(tries);
            }
            tries += u32::from(running == Some(bad.manifest().version));
        }
        Err(Error::unexpected(
            format!("{} to run again", good.manifest().version),
            format!("{MAX_BOOTS} boots without it"),
        ))
    }

    /// The version that runs now; none when the machine rebooted before it answered.
    fn running_version(&mut self) -> Result<Option<Version>, Error> {
        let deadline = self.vm.pace().within(COMMAND);
        let ask = ". /usr/lib/os-release; echo \"$VERSION_ID\"";
        match self.vm.guest().run_ok(ask, deadline) {
            Ok(version) => Ok(version.parse().ok()),
            Err(VmError::Rebooted { .. } | VmError::TimedOut { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_for_reason(&mut self, step: &Step, from: usize) -> Result<String, Error> {
        let told = self.wait_for_report(step, "the failure is reported", BOOT, from, |report| {
            report.kind == EventKind::UpdateComplete
                && report.result == EventResult::Error
                && report.error_code == Some(FELL_BACK)
        })?;
        told.reason.ok_or_else(|| Error::unexpected("a reason with the report", "none"))
    }

    /// Asks for updates once more while the bad release is still the channel's current one.
    fn expect_no_retry(&mut self, bad: &ReleaseDir, good: &ReleaseDir) -> Result<String, Error> {
        let (os, version) = (&bad.manifest().os, bad.manifest().version);
        let boot = self.vm.guest().boot().cloned();
        let deadline = self.vm.pace().within(COMMAND);
        // Exit code 8 says that there is something newer which is not taken: that would be right, too.
        let asked = self.vm.guest().run("stationmaster-agent check 2>&1", deadline)?;
        expect(matches!(asked.exit, 0 | exit::NEGATIVE), "an answer of the update server", &asked.output)?;
        let why = self.vm.guest().run_ok("stationmaster-agent why", deadline)?;
        expect(why.contains(&version.to_string()), &format!("a word about {version}"), &why)?;
        let state = HostState::of(&mut self.vm)?;
        expect_running(&state, good)?;
        expect(state.entry(os, version).is_none(), "no boot entry of it", &state.entries.join(", "))?;
        expect(self.vm.guest().boot() == boot.as_ref(), "the same boot", "another one")?;
        Ok(why)
    }
}

/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(500);

fn payload_bytes(release: &ReleaseDir) -> u64 {
    release.manifest().artifact(ArtifactKind::Payload).map_or(0, |payload| payload.size_bytes)
}

/// A report as a person reads it.
pub(crate) fn in_words(report: &Report) -> String {
    let kind = match report.kind {
        EventKind::DownloadStarted => "download started".to_owned(),
        EventKind::DownloadFinished => "download finished".to_owned(),
        EventKind::UpdateComplete => "update complete".to_owned(),
        EventKind::Other(number) => format!("event {number}"),
    };
    let result = match report.result {
        EventResult::Success => String::new(),
        EventResult::SuccessReboot => ", running".to_owned(),
        EventResult::Error => ", failed".to_owned(),
        EventResult::Other(number) => format!(", result {number}"),
    };
    let code = report.error_code.map(|code| format!(" with code {code}")).unwrap_or_default();
    let reason = report.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} says: {kind}{result}{code}{reason}", report.version)
}

fn expect(holds: bool, expected: &str, found: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::unexpected(expected, found)) }
}

fn expect_healthy(report: &BootReport) -> Result<(), Error> {
    let found = format!("`{}`, failed units: {}", report.state, report.failed_units.join(", "));
    expect(report.is_healthy(), "a system that is `running`", &found)
}

fn expect_running(state: &HostState, release: &ReleaseDir) -> Result<(), Error> {
    let manifest = release.manifest();
    let expected = format!("{} with root hash {}", manifest.version, manifest.usr_root_hash);
    let found = format!("{} with root hash {}", state.version, state.root_hash);
    expect(found == expected, &expected, &found)
}
