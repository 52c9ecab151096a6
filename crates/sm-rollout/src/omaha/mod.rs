//! Omaha protocol 3: the documents that update clients and update servers exchange.
//!
//! One codec for both sides: a server reads [`Request`]s and writes [`Response`]s, an agent the other two. It accepts what
//! update_engine, ue-rs and Nebraska's syncer send, ignores attributes and elements it does not know, and refuses
//! anything beyond [`Limits`]. It decides nothing.
//!
//! Source: Omaha protocol v3 (github.com/google/omaha, `doc/ServerProtocolV3.md`) as update_engine speaks it.

mod app_id;
mod request;
mod response;
mod url;
mod xml;

pub use app_id::{AppId, InvalidAppId};
pub use request::{AppRequest, Event, InstallSource, Os, Request};
pub use response::{AppResponse, AppStatus, OfferedPackage, OfferedRelease, Response, UpdateCheck};
pub use url::{InvalidUrl, Url};
pub use xml::Limits;

/// Protocol version that every document carries.
pub const PROTOCOL: &str = "3.0";

/// A document that is not the Omaha protocol, or not within its limits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bound of [`Limits`] is exceeded.
    #[error("Omaha document has too many {what}: expected at most {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("Omaha document is not UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// Not well-formed XML.
    #[error("Omaha document is not well-formed XML")]
    Malformed(#[source] Box<quick_xml::Error>),
    /// A `<!DOCTYPE`, which no client needs and which can define growing entities.
    #[error("Omaha document has a document type: expected none")]
    DocumentType,
    /// Elements are not where they belong.
    #[error("Omaha document has the wrong structure: expected {0}")]
    Structure(&'static str),
    /// An attribute that must be there is not.
    #[error("element `<{element}>` lacks the attribute `{name}`")]
    MissingAttribute {
        /// The element.
        element: String,
        /// The attribute.
        name: &'static str,
    },
    /// An attribute has a value that cannot be right.
    #[error("attribute `{name}` of `<{element}>` is `{}`: expected {expected}", found.escape_debug())]
    BadAttribute {
        /// The element.
        element: String,
        /// The attribute.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
        /// The start of what was there.
        found: String,
    },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some("check that SERVER names an Omaha v3 endpoint, such as `http://HOST:PORT/v1/update/`".to_owned())
    }

    /// Exit code of a program that stops for this.
    pub fn exit_code(&self) -> u8 {
        sm_model::exit::NETWORK
    }
}
