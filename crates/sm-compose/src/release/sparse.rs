//! Reading a sparse file without reading its holes: a disk image is mostly holes, and asking the kernel for gigabytes of
//! zeros costs more than everything else that is done with them.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
};

use rustix::{fs::SeekFrom as Seek, io::Errno};

/// A file read from its start; holes are told, not read.
pub(super) struct Sparse {
    file: File,
    size_bytes: u64,
    position: u64,
    extent: Extent,
}

/// A stretch of the file, up to where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Data { end: u64 },
    Hole { end: u64 },
}

impl Extent {
    fn end(self) -> u64 {
        match self {
            Extent::Data { end } | Extent::Hole { end } => end,
        }
    }
}

impl Sparse {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Sparse { file, size_bytes, position: 0, extent: Extent::Hole { end: 0 } })
    }

    /// Finds out what is at the position, and puts the file's own position there.
    fn next_extent(&mut self) -> io::Result<Extent> {
        let at = self.position;
        let data = match rustix::fs::seek(&self.file, Seek::Data(at)) {
            Ok(data) => data.min(self.size_bytes),
            // No data up to the end.
            Err(Errno::NXIO) => self.size_bytes,
            // A file system that does not know of holes.
            Err(_) => at,
        };
        if data > at {
            return Ok(Extent::Hole { end: data });
        }
        let end = rustix::fs::seek(&self.file, Seek::Hole(at)).unwrap_or(self.size_bytes);
        self.file.seek(SeekFrom::Start(at))?;
        Ok(Extent::Data { end: end.min(self.size_bytes) })
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size_bytes || buffer.is_empty() {
            return Ok(0);
        }
        if self.position >= self.extent.end() {
            self.extent = self.next_extent()?;
        }
        let left = usize::try_from(self.extent.end() - self.position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let n = match self.extent {
            Extent::Data { .. } => self.file.read(&mut buffer[..wanted])?,
            Extent::Hole { .. } => {
                buffer[..wanted].fill(0);
                wanted
            }
        };
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn holes_read_as_the_zeros_they_stand_for(
            size_bytes in 0..2_000_000u64,
            writes in proptest::collection::vec((0..2_000_000u64, 1..100_000usize, 1..=255u8), 0..6),
        ) {
            let mut file = tempfile::tempfile().unwrap();
            file.set_len(size_bytes).unwrap();
            for (at, n, byte) in writes {
                file.write_all_at(&vec![byte; n], at).unwrap();
            }
            file.flush().unwrap();
            let mut plain = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut plain).unwrap();
            let mut sparse = Vec::new();
            Sparse::new(file).unwrap().read_to_end(&mut sparse).unwrap();
            prop_assert!(sparse == plain, "{} bytes, {} read", plain.len(), sparse.len());
        }
    }

    #[test]
    fn a_file_of_holes_alone_is_never_read() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 34).unwrap();
        let mut sparse = Sparse::new(file).unwrap();
        let mut buffer = [7; 4096];
        assert_eq!(sparse.read(&mut buffer).unwrap(), 4096);
        assert_eq!((buffer, sparse.extent), ([0; 4096], Extent::Hole { end: 1 << 34 }));
    }
}
