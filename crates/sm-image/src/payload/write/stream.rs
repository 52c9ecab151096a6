//! Reads a source chunk by chunk, packs chunks on several cores, and spools the results in their order.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::mpsc::{Receiver, sync_channel},
};

use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256 as Hasher};
use sm_model::Sha256;

use super::{
    CHUNK_LEN, Compression, PackedOperation, PackedPart, Source, WriteError,
    pack::{Packed, pack},
};

/// Chunks compressed at a time, however many cores there are: bzip2 takes 7.6 MiB for each.
pub const MAX_WORKERS: usize = 4;
/// Chunks read but not yet spooled: 2 MiB each, before and after packing.
pub const MAX_IN_FLIGHT: usize = 2 * MAX_WORKERS;

/// Packs sources into one spool.
pub(super) struct Packer<'a> {
    compression: Compression,
    workers: ThreadPool,
    spool: &'a mut dyn Write,
    data_len: u32,
}

impl<'a> Packer<'a> {
    pub(super) fn new(compression: Compression, spool: &'a mut dyn Write) -> Result<Self, WriteError> {
        // A pool of its own: waiting for it cannot block the caller's, whatever runs there.
        let n_workers = rayon::current_num_threads().min(MAX_WORKERS);
        let workers = ThreadPoolBuilder::new().num_threads(n_workers).build().map_err(WriteError::Workers)?;
        Ok(Packer { compression, workers, spool, data_len: 0 })
    }

    /// Bytes in the spool.
    pub(super) fn data_len(&self) -> u64 {
        self.data_len.into()
    }

    /// Packs all of `source`.
    pub(super) fn pack(&mut self, what: &'static str, source: Source<'_>) -> Result<PackedPart, WriteError> {
        let size_bytes = source.size_bytes;
        let compression = self.compression;
        let mut chunks = Chunks { what, source, left: size_bytes, hasher: Hasher::new() };
        let mut operations = Vec::new();
        let (workers, spool, data_len) = (&self.workers, &mut *self.spool, &mut self.data_len);
        workers.in_place_scope(|scope| {
            let mut in_flight: VecDeque<Receiver<io::Result<Packed>>> = VecDeque::new();
            loop {
                while in_flight.len() < MAX_IN_FLIGHT
                    && let Some(chunk) = chunks.next()?
                {
                    let (sender, receiver) = sync_channel(1);
                    // A receiver that is gone means that an error is on its way up already.
                    scope.spawn(move |_| drop(sender.send(pack(chunk, compression))));
                    in_flight.push_back(receiver);
                }
                let Some(oldest) = in_flight.pop_front() else { return Ok(()) };
                let packed = oldest.recv().map_err(io::Error::other).flatten();
                let packed = packed.map_err(|source| WriteError::Compress { what, source })?;
                operations.push(append(spool, data_len, &packed)?);
            }
        })?;
        Ok(PackedPart { operations, size_bytes, sha256: chunks.finish()? })
    }
}

/// Puts a packed chunk at the end of the spool.
fn append(spool: &mut dyn Write, data_len: &mut u32, packed: &Packed) -> Result<PackedOperation, WriteError> {
    let operation = PackedOperation {
        kind: packed.kind,
        data_offset: *data_len,
        data_len: packed.data.len() as u32,
        data_sha256: packed.sha256,
    };
    *data_len = data_len.checked_add(operation.data_len).ok_or(WriteError::TooLarge)?;
    spool.write_all(&packed.data).map_err(WriteError::Spool)?;
    Ok(operation)
}

/// A source, cut into chunks and hashed as a whole.
struct Chunks<'a> {
    what: &'static str,
    source: Source<'a>,
    left: u64,
    hasher: Hasher,
}

impl Chunks<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, WriteError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; self.left.min(CHUNK_LEN as u64) as usize];
        self.source.reader.read_exact(&mut chunk).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.wrong_size(false),
            _ => WriteError::Source { what: self.what, source },
        })?;
        self.left -= chunk.len() as u64;
        self.hasher.update(&chunk);
        Ok(Some(chunk))
    }

    /// The digest of the whole, once nothing follows the announced size.
    fn finish(self) -> Result<Sha256, WriteError> {
        match io::copy(&mut self.source.reader.take(1), &mut io::sink()) {
            Ok(0) => Ok(Sha256(self.hasher.finalize().into())),
            Ok(_) => Err(WriteError::SourceSize {
                what: self.what,
                expected_bytes: self.source.size_bytes,
                longer: true,
            }),
            Err(source) => Err(WriteError::Source { what: self.what, source }),
        }
    }

    fn wrong_size(&self, longer: bool) -> WriteError {
        WriteError::SourceSize { what: self.what, expected_bytes: self.source.size_bytes, longer }
    }
}
