//! One application's answer, inside one transaction: what is known of the host, what it told, what it is offered.

use std::sync::Arc;

use sm_model::{Board, MachineId, Timestamp, fleet::HostFacts};
use sm_rollout::{
    offer::{self, NoUpdate, Target},
    omaha::{AppRequest, AppResponse, AppStatus, OfferedPackage, OfferedRelease, Os, UpdateCheck, Url},
};
use sm_store::{Error, Ledger, Visit};

use super::{Question, host};
use crate::{
    Config,
    catalog::{Catalog, Release},
    metrics::{Answer, Metrics},
};

/// Answers questions with what the server offers.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: Arc<Config>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Desk {
    /// One answer for each application, in order. Each is independent: one we do not serve does not spoil the others.
    pub(crate) fn answer(
        &self,
        ledger: &mut dyn Ledger,
        question: &Question,
    ) -> Result<Vec<AppResponse>, Error> {
        let now = self.config.clock.now();
        let apps = question.request.apps.iter().zip(&question.machine_ids);
        apps.map(|(app, machine_id)| {
            let ask = Ask { desk: self, app, os: &question.request.os, base: &question.base, now };
            ask.answer(ledger, machine_id.as_ref())
        })
        .collect()
    }
}

/// One application's part of a question.
struct Ask<'q> {
    desk: &'q Desk,
    app: &'q AppRequest,
    os: &'q Os,
    base: &'q Url,
    now: Timestamp,
}

impl Ask<'_> {
    fn answer(&self, ledger: &mut dyn Ledger, machine_id: Option<&MachineId>) -> Result<AppResponse, Error> {
        if self.app.app_id != self.desk.config.app_id {
            return Ok(self.response(AppStatus::UnknownApplication, self.no_update("unknown-application")));
        }
        if self.app.ping {
            self.desk.metrics.count_ping();
        }
        let facts = host::facts(self.app, self.os);
        // A mirror that fetches for others is no host of the fleet.
        let offer = match machine_id.filter(|_| !self.app.multi_manifest_ok) {
            Some(machine_id) => self.visit(ledger, machine_id, facts)?,
            None => self.decide(&facts, &[]),
        };
        Ok(self.response(AppStatus::Ok, offer))
    }

    /// Records what the host told and what it is offered.
    fn visit(
        &self,
        ledger: &mut dyn Ledger,
        machine_id: &MachineId,
        facts: HostFacts,
    ) -> Result<Option<OfferedRelease>, Error> {
        let mut visit = Visit::open(ledger, machine_id, facts.clone(), self.now)?;
        for event in &self.app.events {
            self.desk.metrics.count_event(event.kind, event.result);
            if host::is_greeting(event) {
                continue;
            }
            let report = host::report(self.app, machine_id, event, self.now);
            tracing::info!(
                machine = %machine_id, version = report.version, event = report.kind.number(),
                result = report.result.number(), code = report.error_code, reason = report.reason, "host reported"
            );
            visit.report(report)?;
        }
        let offer = self.decide(&facts, &visit.instance().fell_back_from);
        if let Some(release) = &offer {
            visit.offer(release.version)?;
        }
        visit.close()?;
        Ok(offer)
    }

    /// The decision itself is `sm_rollout`'s; here it gets its facts.
    fn decide(&self, facts: &HostFacts, fell_back_from: &[sm_model::Version]) -> Option<OfferedRelease> {
        if !self.app.update_check {
            return None;
        }
        let target = match self.target(facts) {
            Ok(target) => target,
            Err(reason) => return self.no_update(reason),
        };
        let instance = offer::Instance {
            version: facts.version.parse().ok(),
            board: facts.board,
            fell_back_from: fell_back_from.to_vec(),
        };
        match offer::answer(&instance, &target) {
            offer::Answer::NoUpdate(reason) => self.no_update(name_of(reason)),
            offer::Answer::Offer(release) => {
                self.desk.metrics.count_answer(Answer::Offer);
                Some(release.clone())
            }
        }
    }

    /// The release that the host's group is to run, or why there is none.
    fn target(&self, facts: &HostFacts) -> Result<Target, &'static str> {
        let catalog = &self.desk.catalog;
        let channel = self.desk.config.channel_of(&facts.group).filter(|channel| catalog.has(*channel));
        let channel = channel.ok_or("unknown-group")?;
        let board: Board = facts.board.ok_or("unknown-board")?;
        let release = catalog.current(channel, board, self.now).release.ok_or("no-release")?;
        Ok(Target { release: offered(&release, self.base), board })
    }

    /// Counts why there is nothing to do. Hosts are told only that there is nothing: to update_engine any other answer
    /// is a failure that it reports.
    fn no_update(&self, reason: &'static str) -> Option<OfferedRelease> {
        if self.app.update_check {
            self.desk.metrics.count_answer(Answer::NoUpdate(reason));
            tracing::debug!(group = self.app.track, version = self.app.version, reason, "no update");
        }
        None
    }

    fn response(&self, status: AppStatus, offer: Option<OfferedRelease>) -> AppResponse {
        let poll_interval_secs = self.desk.config.poll_interval_secs;
        AppResponse {
            app_id: self.app.app_id.clone(),
            status,
            ping: self.app.ping,
            events: self.app.events.len(),
            update_check: self.app.update_check.then_some(UpdateCheck { poll_interval_secs, offer }),
        }
    }
}

/// The release as a host reaches it from `base`.
fn offered(release: &Release, base: &Url) -> OfferedRelease {
    let url = format!("{}{}/", base.as_directory(), release.folder());
    OfferedRelease {
        version: release.version,
        urls: vec![url.parse().expect("a checked base and the folder of a release make a URL")],
        payload: OfferedPackage {
            name: release.payload.name.clone(),
            size_bytes: release.payload.size_bytes,
            sha256: release.payload.sha256,
        },
        extras: Vec::new(),
    }
}

/// The reason's name in the metrics.
const fn name_of(reason: NoUpdate) -> &'static str {
    match reason {
        NoUpdate::UpToDate => "up-to-date",
        NoUpdate::Newer => "newer",
        NoUpdate::UnknownVersion => "unknown-version",
        NoUpdate::OtherBoard => "other-board",
        NoUpdate::FellBack => "fell-back",
    }
}
