//! Reading a full payload while it arrives: check the head, apply operation after operation, then prove the whole.
//!
//! [`Installer`] takes bytes in pieces of any size and writes each finished operation to a [`Target`]. What it has
//! written means nothing until [`Installer::finish`] has checked size, digest and signature ([`Received`]) and the
//! target was read back ([`Installed`]); only then may anything be armed.
//!
//! Delta payloads are refused, not half applied.

mod error;
mod evidence;
mod installer;
mod limits;
mod manifest;
mod plan;
mod protobuf;
mod signatures;
mod stream_digests;
mod unpack;

pub use error::{Malformed, ReadError, Structure};
pub use evidence::{Installed, Received};
pub use installer::{Expected, Installer, Target};
pub use limits::Limits;
pub use plan::{Content, Kind, Operation, OperationName, Part, Plan, head_len};
pub use signatures::{Signature, parse_signatures};
pub use stream_digests::StreamDigests;
