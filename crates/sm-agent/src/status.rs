//! Where a host stands, as a value for `status`, `why` and `--json`.

use serde::Serialize;
use sm_model::{Timestamp, Version};
use sm_rollout::agent::{Phase, State, state::Rejection, why::Explanation};

use crate::{Agent, Error, server::chain, spool};

/// Where a host stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The version that runs.
    pub running: Version,
    /// `idle`, `downloading`, `installing`, `reboot-needed` or `booted-unconfirmed`.
    pub phase: &'static str,
    /// The version that an update under way leads to.
    pub target: Option<Version>,
    /// Bytes of the payload that have come, and that there are.
    pub download: Option<Download>,
    /// The group that the host follows.
    pub group: Option<String>,
    /// The update server; absent when it is disabled.
    pub server: Option<String>,
    /// What is done when an update is armed.
    pub reboot_strategy: Option<String>,
    /// Kernel images that the boot loader finds, best first.
    pub kernel_images: Vec<String>,
    /// When the server last answered.
    pub last_answer: Option<Timestamp>,
    /// When it is asked next; absent when there is no server.
    pub next_check: Option<Timestamp>,
    /// Versions that are not tried again.
    pub rejected: Vec<Rejection>,
    /// What became of the last attempt that ended without an update.
    pub last_failure: Option<String>,
    /// What cannot be told at the moment, and why.
    pub unknown: Vec<String>,
    /// The same in words.
    pub words: Explanation,
}

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Download {
    /// Bytes in the spool.
    pub done_bytes: u64,
    /// Bytes of the payload.
    pub total_bytes: u64,
}

impl Status {
    /// Looks at the host without changing anything. What cannot be read is told in [`Status::unknown`].
    ///
    /// # Errors
    /// When the document or the EFI system partition cannot be read.
    pub fn read(agent: &Agent<'_>) -> Result<Self, Error> {
        let now = agent.world().clock.now();
        let facts = agent.facts()?;
        let mut state: State = agent.state()?;
        state.observe(&facts, now);
        let config = agent.config();
        let problem = config.as_ref().err().map(|error| chain(error));
        let words = state.explain(&facts, config.as_ref().map_err(|_| problem.as_deref().unwrap_or("")), now);
        let config = config.ok();
        let server = config.as_ref().and_then(|config| config.server.as_ref());
        Ok(Status {
            running: facts.running,
            phase: state.phase.name(),
            target: state.phase.target().map(|(version, _)| version),
            download: download(agent, &state.phase),
            group: config.as_ref().map(|config| config.group.clone()),
            server: server.map(ToString::to_string),
            reboot_strategy: config.as_ref().map(|config| config.reboot.to_string()),
            kernel_images: agent.kernel_image_names()?,
            last_answer: state.contact.answered,
            next_check: server.and(state.contact.next),
            rejected: state.rejected,
            last_failure: state.last_failure,
            unknown: problem.into_iter().collect(),
            words,
        })
    }

    /// The status in lines of `KEY  value`.
    pub fn lines(&self) -> String {
        let mut lines = vec![("running", self.running.to_string()), ("state", self.phase.to_owned())];
        lines.extend(self.target.map(|version| ("target", version.to_string())));
        lines.extend(self.download.map(|download| ("downloaded", download.to_string())));
        lines.extend(self.group.clone().map(|group| ("group", group)));
        lines.push(("server", self.server.clone().unwrap_or_else(|| "disabled".to_owned())));
        lines.extend(self.reboot_strategy.clone().map(|strategy| ("reboots", strategy)));
        lines.extend(self.kernel_images.iter().map(|name| ("kernel image", name.clone())));
        lines.extend(self.last_answer.map(|at| ("last answer", at.to_string())));
        lines.extend(self.next_check.map(|at| ("next check", at.to_string())));
        lines.extend(
            self.rejected
                .iter()
                .map(|old| ("rejected", format!("{}: {}", old.version, first_line(&old.reason)))),
        );
        lines
            .extend(self.last_failure.as_deref().map(|words| ("last failure", first_line(words).to_owned())));
        lines.extend(self.unknown.iter().map(|words| ("unknown", words.clone())));
        lines.iter().map(|(key, value)| format!("{key:<14}{value}\n")).collect()
    }
}

fn first_line(words: &str) -> &str {
    words.lines().next().unwrap_or_default()
}

impl std::fmt::Display for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = self.done_bytes.saturating_mul(100) / self.total_bytes.max(1);
        write!(f, "{percent} % ({} of {} bytes)", self.done_bytes, self.total_bytes)
    }
}

fn download(agent: &Agent<'_>, phase: &Phase) -> Option<Download> {
    let Phase::Downloading(download) = phase else { return None };
    let payload = &download.offer.payload;
    let done_bytes = spool::len_bytes(agent.store().dir(), payload);
    Some(Download { done_bytes, total_bytes: payload.size_bytes })
}
