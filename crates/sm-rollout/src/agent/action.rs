//! What an agent can do, and how each of these can turn out.

use sm_model::{Timestamp, Version};

use crate::omaha::{OfferedRelease, UpdateCheck, Url};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing before this instant, unless the facts, the configuration or the document change.
    Wait(Timestamp),
    /// Send the outbox to the server, with nothing else. Answer: [`Outcome::Reported`].
    Report(Url),
    /// Send a ping, the outbox and the question for updates. Answer: [`Outcome::Checked`].
    Check(Url),
    /// Send a ping and the outbox: the host is alive but wants nothing now. Answer: [`Outcome::Pinged`].
    Ping(Url),
    /// Get the payload into the spool, going on where the spool ends. Answer: [`Outcome::Downloaded`].
    Download {
        /// Where from.
        url: Url,
        /// What.
        offer: OfferedRelease,
    },
    /// Verify the spooled payload, write the passive slot, and arm it, in this order. Answer: [`Outcome::Installed`].
    Install(OfferedRelease),
    /// Remove the kernel image of a version whose tries are spent. It answers itself: the facts change.
    RemoveEntry(Version),
    /// Reboot the host. Answer: [`Outcome::RebootAsked`].
    Reboot,
}

/// How an action turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The outbox was sent, or not.
    Reported(Result<(), CheckFailure>),
    /// The ping was sent, or not.
    Pinged(Result<(), CheckFailure>),
    /// The server answered, or not.
    Checked(Result<UpdateCheck, CheckFailure>),
    /// The payload is whole in the spool, or not.
    Downloaded(Result<(), DownloadFailure>),
    /// The update is armed, or not.
    Installed(Result<(), InstallFailure>),
    /// The system was asked to reboot.
    RebootAsked,
}

/// Why the server could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "words")]
pub enum CheckFailure {
    /// The network or the server was not there.
    Offline(String),
    /// The server answered with an error, or with something that is no answer.
    Refused(String),
    /// The server does not take a request like this one (HTTP 400 or 413): sent again as it is, it is refused again. Remembered
    /// as a refusal, the word that agents of every version know.
    #[serde(rename = "refused", skip_deserializing)]
    Unacceptable(String),
}

impl CheckFailure {
    /// What happened, in words.
    pub fn words(&self) -> &str {
        match self {
            CheckFailure::Offline(words)
            | CheckFailure::Refused(words)
            | CheckFailure::Unacceptable(words) => words,
        }
    }
}

/// Why a download ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadFailure {
    /// The transfer broke; what has come is kept.
    Interrupted(String),
    /// This server does not have the file.
    Refused(String),
    /// There is no room, or the disk failed.
    Storage(String),
}

/// Why an install ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallFailure {
    /// The spooled bytes are not what was offered: the transfer or the mirror damaged them. The spool is thrown away.
    Damaged(String),
    /// What was offered is not to be installed, ever: wrong signature, wrong format, does not fit.
    Rejected(ErrorCode, String),
    /// There is no room, or a disk failed.
    Storage(String),
}

/// Numbers that update_engine sends as `errorcode` (its `action_processor.h`), as far as our agent has the same failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ErrorCode {
    /// The payload could not be downloaded.
    DownloadTransfer = 9,
    /// The payload's SHA-256 is not the offered one.
    PayloadHash = 10,
    /// The payload's size is not the offered one.
    PayloadSize = 11,
    /// The /usr image does not fit, or is not as large as the payload says.
    NewPartitionInfo = 13,
    /// The disk could not be written.
    Write = 14,
    /// The /usr image has another digest or root hash than was signed.
    NewUsr = 15,
    /// The kernel image has another digest, or is none of ours.
    NewKernel = 16,
    /// The payload is not signed by the key in the image.
    Signature = 18,
    /// The payload's manifest cannot be read.
    Manifest = 23,
    /// An operation of the payload cannot be carried out.
    Operation = 28,
    /// The version was booted and did not come up: the host fell back.
    Rollback = 44,
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn number(self) -> i64 {
        self as i64
    }
}
