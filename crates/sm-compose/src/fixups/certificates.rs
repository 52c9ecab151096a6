//! The bundle of certificate authorities that `update-ca-certificates` would have made.

use super::FixupError;
use crate::tree::{Entry, Node, Origin, Tree};

const SOURCE: &str = "/usr/share/ca-certificates";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Joins every certificate in the order of paths, and leaves the single files out.
pub(super) fn bundle(tree: &mut Tree) -> Result<(), FixupError> {
    let singles = tree.take(SOURCE);
    let mut bundle = Vec::new();
    for (path, entry) in singles.entries() {
        if let (Node::File(certificate), true) = (&entry.node, path.ends_with(".crt")) {
            bundle.extend_from_slice(certificate);
            if !certificate.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
    }
    if bundle.is_empty() {
        return Err(FixupError::Missing { path: SOURCE, package: "ca-certificates" });
    }
    tree.put(BUNDLE, Entry::file(bundle, Origin::Composed))?;
    Ok(())
}
