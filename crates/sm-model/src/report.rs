//! What hosts tell the update server: the events of the Omaha protocol, as values.

use serde::{Deserialize, Serialize};

use crate::{MachineId, Timestamp, Version};

/// Kind of an update event. Numbers are Omaha's `eventtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// 3: the update is complete (with success: written; with success-reboot: running), or failed (with error).
    UpdateComplete,
    /// 13: the download has begun.
    DownloadStarted,
    /// 14: the download is complete.
    DownloadFinished,
    /// Any other number a client sends: recorded, not acted on.
    Other(u16),
}

impl EventKind {
    /// Omaha's number.
    pub const fn number(self) -> u16 {
        match self {
            EventKind::UpdateComplete => 3,
            EventKind::DownloadStarted => 13,
            EventKind::DownloadFinished => 14,
            EventKind::Other(number) => number,
        }
    }

    /// From Omaha's number.
    pub const fn from_number(number: u16) -> Self {
        match number {
            3 => EventKind::UpdateComplete,
            13 => EventKind::DownloadStarted,
            14 => EventKind::DownloadFinished,
            number => EventKind::Other(number),
        }
    }
}

/// Outcome of an update event. Numbers are Omaha's `eventresult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventResult {
    /// 0: it failed.
    Error,
    /// 1: it succeeded.
    Success,
    /// 2: it succeeded and the host has rebooted into it.
    SuccessReboot,
    /// Any other number a client sends.
    Other(u16),
}

impl EventResult {
    /// Omaha's number.
    pub const fn number(self) -> u16 {
        match self {
            EventResult::Error => 0,
            EventResult::Success => 1,
            EventResult::SuccessReboot => 2,
            EventResult::Other(number) => number,
        }
    }

    /// From Omaha's number.
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => EventResult::Error,
            1 => EventResult::Success,
            2 => EventResult::SuccessReboot,
            number => EventResult::Other(number),
        }
    }
}

/// One event as a host reported it and the server recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// When the server received it.
    pub received: Timestamp,
    /// The host's machine id.
    pub machine_id: MachineId,
    /// Group the host said it follows.
    pub group: String,
    /// Version the host runs.
    pub version: String,
    /// What happened.
    pub kind: EventKind,
    /// How it went.
    pub result: EventResult,
    /// Omaha's `errorcode`, where the host sent one.
    pub error_code: Option<i64>,
    /// Version the host ran before, where it said so.
    pub previous_version: Option<Version>,
    /// The host's own words on a failure (our agent's `reason` attribute).
    pub reason: Option<String>,
}
