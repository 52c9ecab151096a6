//! Requests that are not served: each refusal has a status, a sentence for the person at the other end, and a name in
//! the metrics. The sentence may quote the request, so it is plain text and never anything a browser would run.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive within {secs} seconds")]
    BodyTooSlow { secs: u64 },
    #[error("the request body ended early")]
    BodyBroken,
    #[error("{}", chain(.0))]
    NotOmaha(#[source] sm_rollout::omaha::Error),
    #[error("one application reports {found} events, expected at most {limit}")]
    TooManyEvents { found: usize, limit: usize },
    #[error("`machineid` is not valid: {0}")]
    MachineId(#[source] sm_model::machine::InvalidMachineId),
    #[error("the Host header is missing or not a plain HOST[:PORT]")]
    Host,
    #[error("the query is not valid: {0}")]
    Query(String),
    #[error("there is nothing here; updates are at POST /v1/update/, releases are listed at /")]
    NotFound,
    #[error("only {allowed} is possible here")]
    Method { allowed: &'static str },
    #[error("the release directory cannot be read now")]
    Disk(#[source] std::io::Error),
    #[error("the server is overloaded, come back later")]
    Overloaded,
    #[error("the fleet database does not answer, come back later")]
    Database,
}

impl Refusal {
    /// The name in `stationmaster_refused_requests_total{reason=…}`.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Refusal::BodyTooLarge { .. } => "body-too-large",
            Refusal::BodyTooSlow { .. } => "body-too-slow",
            Refusal::BodyBroken => "body-broken",
            Refusal::NotOmaha(_) => "not-omaha",
            Refusal::TooManyEvents { .. } => "too-many-events",
            Refusal::MachineId(_) => "machine-id",
            Refusal::Host => "host",
            Refusal::Query(_) => "query",
            Refusal::NotFound => "not-found",
            Refusal::Method { .. } => "method",
            Refusal::Disk(_) => "disk",
            Refusal::Overloaded => "overloaded",
            Refusal::Database => "database",
        }
    }

    /// Whether the server, not the client, is to blame.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self, Refusal::Disk(_) | Refusal::Overloaded | Refusal::Database)
    }

    const fn status(&self) -> StatusCode {
        match self {
            Refusal::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::BodyTooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Overloaded | Refusal::Database => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::BodyBroken
            | Refusal::NotOmaha(_)
            | Refusal::TooManyEvents { .. }
            | Refusal::MachineId(_)
            | Refusal::Host
            | Refusal::Query(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Refusal::Method { allowed } = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
