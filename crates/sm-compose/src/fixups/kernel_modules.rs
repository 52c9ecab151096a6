//! Kernel modules, stored decompressed: a changed module then changes few blocks of /usr, and updates stay small.

use std::io::{self, Read};

use rayon::prelude::*;

use super::FixupError;
use crate::tree::{Entry, Node, Tree};

/// Largest module once decompressed: stops a bomb. The largest of Debian's are debug builds of 30 MiB.
const MAX_MODULE_BYTES: u64 = 256 << 20;
const DECODER_MEMORY_BYTES: u64 = 128 << 20;

/// Replaces every `.ko.xz` with its `.ko`, all in parallel.
pub(super) fn decompress(tree: &mut Tree) -> Result<(), FixupError> {
    let mut modules = tree.take("/usr/lib/modules");
    let compressed: Vec<(String, Entry)> = modules
        .entries()
        .filter(|(path, _)| path.ends_with(".ko.xz"))
        .map(|(path, entry)| (path.to_owned(), entry.clone()))
        .collect();
    modules.retain(|path, _| !path.ends_with(".ko.xz"));
    let plain: Vec<(String, Entry)> =
        compressed.into_par_iter().map(decompressed).collect::<Result<_, _>>()?;
    for (path, entry) in modules.into_entries().chain(plain) {
        tree.put(&path, entry)?;
    }
    Ok(())
}

fn decompressed((path, entry): (String, Entry)) -> Result<(String, Entry), FixupError> {
    let Node::File(compressed) = &entry.node else { return Ok((path, entry)) };
    let bytes = decode(compressed).map_err(|source| FixupError::Module { path: path.clone(), source })?;
    let plain = path.strip_suffix(".xz").unwrap_or(&path).to_owned();
    Ok((plain, Entry { node: Node::File(bytes.into()), ..entry }))
}

fn decode(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY_BYTES, 0)?;
    let mut decoder = liblzma::read::XzDecoder::new_stream(compressed, stream).take(MAX_MODULE_BYTES + 1);
    let mut bytes = Vec::with_capacity(compressed.len().saturating_mul(4));
    decoder.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it decodes to more than 256 MiB"));
    }
    Ok(bytes)
}
