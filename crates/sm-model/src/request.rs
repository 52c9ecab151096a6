//! Package requests: what somebody would have in the image, what it costs, who is for it, what was decided.

use serde::{Deserialize, Serialize};

use crate::{Board, Date, PackageName, Sha256};

/// What happened to a request. A request is known by the number that its [`RequestEvent::Filed`] has in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RequestEvent {
    /// Somebody asks for packages.
    Filed {
        /// What they ask.
        request: PackageRequest,
    },
    /// It was found out what they cost.
    Measured {
        /// Which request.
        id: u64,
        /// The cost.
        cost: Cost,
    },
    /// Somebody is for it, or against.
    Voted {
        /// Which request.
        id: u64,
        /// What they want.
        choice: RequestChoice,
        /// Why.
        reason: String,
    },
    /// It is decided.
    Decided {
        /// Which request.
        id: u64,
        /// What came of it.
        outcome: RequestOutcome,
        /// Why.
        reason: String,
    },
}

/// What somebody asks, with what everybody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageRequest {
    /// The packages.
    pub packages: Vec<PackageName>,
    /// What they are for.
    pub purpose: String,
    /// Why a container, a static program fetched at first boot, or a system extension would not do.
    pub alternatives: String,
    /// Who keeps them up to date upstream, and how well.
    pub upkeep: String,
}

/// What packages cost, found by composing one image without and one with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The board.
    pub board: Board,
    /// Digest of the manifest without them.
    pub without: Sha256,
    /// Digest of the manifest with them.
    pub with: Sha256,
    /// The /usr image.
    pub usr: SizePair,
    /// The update payload: what every host downloads.
    pub payload: SizePair,
    /// Packages that come with them, by name; the ones asked for among them.
    pub packages: Vec<PackageName>,
    /// Files with a set-user-ID or set-group-ID bit that come with them.
    pub setuid: Vec<String>,
    /// Units that come with them.
    pub units: Vec<String>,
    /// Sockets that their units listen on, as the units spell them.
    pub listeners: Vec<String>,
}

/// A size without and with the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizePair {
    /// Without.
    pub without_bytes: u64,
    /// With.
    pub with_bytes: u64,
}

impl SizePair {
    /// By how much it grows; negative when it shrinks.
    pub fn grown_bytes(self) -> i64 {
        let clamp = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        clamp(self.with_bytes).saturating_sub(clamp(self.without_bytes))
    }
}

/// What somebody wants to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestChoice {
    /// Take the packages in.
    For,
    /// Do not.
    Against,
    /// Took part, and leaves it to others.
    Abstain,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RequestOutcome {
    /// The packages go into the image.
    Accepted,
    /// They go into alpha only, and are looked at again.
    Experimental {
        /// When.
        review: Date,
    },
    /// There is a better way.
    Alternative,
    /// They stay out.
    Declined,
    /// Decided later.
    Deferred {
        /// When.
        until: Date,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_of_an_event_is_pinned() {
        let event = RequestEvent::Decided {
            id: 7,
            outcome: RequestOutcome::Deferred { until: "2026-12-01".parse().unwrap() },
            reason: "too large".to_owned(),
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"kind":"decided","id":7,"outcome":{"outcome":"deferred","until":"2026-12-01"},"reason":"too large"}"#
        );
        assert_eq!(serde_json::from_str::<RequestEvent>(&json).unwrap(), event);
    }

    #[test]
    fn growth_has_a_sign() {
        let pair = |without_bytes, with_bytes| SizePair { without_bytes, with_bytes }.grown_bytes();
        assert_eq!([pair(1, 3), pair(3, 1), pair(0, u64::MAX)], [2, -2, i64::MAX]);
    }
}
