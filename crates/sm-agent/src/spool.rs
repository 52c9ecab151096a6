//! The spool: a payload while it arrives, in a file of its own. It grows by appending, so its length says where to go on.
//!
//! Nothing here is trusted afterwards: whoever installs from the spool verifies it whole.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sm_host::{
    fetch::{self, Fetch, FetchError, Head, Sink},
    files,
    progress::{Progress, Task, Unit},
};
use sm_rollout::{
    agent::DownloadFailure,
    omaha::{OfferedPackage, Url},
};

/// Room that a download leaves free, in bytes: for the kernel image that is unpacked beside it, and for everybody else.
const MARGIN_BYTES: u64 = 96 << 20;

const PREFIX: &str = "payload-";

/// The file that a payload arrives in: named after its digest, so that bytes of two payloads never mix.
pub fn path(dir: &Path, payload: &OfferedPackage) -> PathBuf {
    dir.join(format!("{PREFIX}{}", payload.sha256))
}

/// How much of a payload has come.
pub fn len_bytes(dir: &Path, payload: &OfferedPackage) -> u64 {
    path(dir, payload).metadata().map_or(0, |metadata| metadata.len())
}

/// Removes every payload but the one to keep.
///
/// # Errors
/// When one cannot be removed.
pub fn sweep(dir: &Path, keep: Option<&OfferedPackage>) -> Result<(), crate::Error> {
    let keep = keep.map(|payload| path(dir, payload));
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(crate::Error::system("list the spool"))?,
    };
    for entry in entries {
        let entry = entry.map_err(crate::Error::system("list the spool"))?;
        let is_payload = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_payload && Some(entry.path()) != keep {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Gets the rest of a payload into the spool.
///
/// # Errors
/// When the transfer breaks (what came is kept), the server does not have the file or sends something else, or there is no room.
pub fn download(
    fetch: &dyn Fetch,
    url: &Url,
    payload: &OfferedPackage,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<(), DownloadFailure> {
    let storage = |error: &dyn std::fmt::Display| DownloadFailure::Storage(error.to_string());
    files::create_dir_all(dir).map_err(|error| storage(&error))?;
    sweep(dir, Some(payload)).map_err(|error| storage(&error))?;
    let mut sink =
        Spool::open(&path(dir, payload), payload, progress).map_err(|error| spool_full(dir, &error))?;
    if sink.len_bytes < payload.size_bytes {
        require_room(dir, payload.size_bytes - sink.len_bytes)?;
        let request = fetch::Request::get(url.as_str(), payload.size_bytes).from_byte(sink.len_bytes, None);
        fetch.fetch(&request, &mut sink).map_err(|error| failure(error, &sink, dir))?;
    }
    sink.finish().map_err(|error| spool_full(dir, &error))
}

fn require_room(dir: &Path, needed_bytes: u64) -> Result<(), DownloadFailure> {
    let free_bytes = files::free_bytes(dir).map_err(|error| DownloadFailure::Storage(error.to_string()))?;
    if free_bytes < needed_bytes.saturating_add(MARGIN_BYTES) {
        return Err(DownloadFailure::Storage(format!(
            "no room for the payload in `{}`: {needed_bytes} bytes and {MARGIN_BYTES} to spare are needed, {free_bytes} are free",
            dir.display()
        )));
    }
    Ok(())
}

fn spool_full(dir: &Path, error: &io::Error) -> DownloadFailure {
    DownloadFailure::Storage(format!("cannot write the payload below `{}`: {error}", dir.display()))
}

fn failure(error: FetchError, sink: &Spool, dir: &Path) -> DownloadFailure {
    match error {
        FetchError::Status { status: 416, .. } => {
            // The server's file is shorter than what has come: the next attempt starts afresh.
            let restarted = sink.file.set_len(0);
            DownloadFailure::Interrupted(match restarted {
                Ok(()) => error.to_string(),
                Err(refused) => format!("{error}; {refused}"),
            })
        }
        FetchError::Status { status: 400..500, .. } => DownloadFailure::Refused(error.to_string()),
        FetchError::Sink { .. } if sink.overflowed => DownloadFailure::Refused(format!(
            "{error}: it is larger than the {} bytes on offer",
            sink.size_bytes
        )),
        FetchError::Sink { source, .. } => spool_full(dir, &source),
        error => DownloadFailure::Interrupted(error.to_string()),
    }
}

/// The open spool file, as the receiver of a transfer.
struct Spool {
    file: File,
    len_bytes: u64,
    size_bytes: u64,
    overflowed: bool,
    task: Box<dyn Task>,
}

impl Spool {
    fn open(path: &Path, payload: &OfferedPackage, progress: &dyn Progress) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut len_bytes = file.metadata()?.len();
        if len_bytes > payload.size_bytes {
            file.set_len(0)?;
            len_bytes = 0;
        }
        file.seek(SeekFrom::Start(len_bytes))?;
        let task = progress.begin("Downloading", Unit::Bytes, Some(payload.size_bytes));
        task.advance(len_bytes);
        Ok(Spool { file, len_bytes, size_bytes: payload.size_bytes, overflowed: false, task })
    }

    fn finish(self) -> Result<(), io::Error> {
        self.file.sync_all()
    }
}

impl Sink for Spool {
    fn head(&mut self, head: &Head) -> io::Result<()> {
        if head.status != 206 && self.len_bytes > 0 {
            // The server sends the whole file although the rest was asked for.
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.len_bytes = 0;
        }
        Ok(())
    }

    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.len_bytes + bytes.len() as u64 > self.size_bytes {
            self.overflowed = true;
            return Err(io::Error::other("too many bytes"));
        }
        self.file.write_all(bytes)?;
        self.len_bytes += bytes.len() as u64;
        self.task.advance(bytes.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_host::{
        fetch::{Answer, FakeFetch},
        progress::Silent,
    };
    use sm_model::Sha256;

    const URL: &str = "http://h/p.gz";

    fn payload(bytes: &[u8]) -> OfferedPackage {
        OfferedPackage {
            name: "p.gz".parse().unwrap(),
            size_bytes: bytes.len() as u64,
            sha256: Sha256([7; 32]),
        }
    }

    fn get(server: &FakeFetch, payload: &OfferedPackage, dir: &Path) -> Result<(), DownloadFailure> {
        download(server, &URL.parse().unwrap(), payload, dir, &Silent)
    }

    fn bytes() -> Vec<u8> {
        (0..=255).cycle().take(100_000).collect()
    }

    #[test]
    fn a_broken_transfer_goes_on_where_it_broke() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let payload = payload(&bytes);
        server.serve_in_turn(
            URL,
            vec![
                Answer::BreaksAfter(bytes.clone(), 30_000),
                Answer::BreaksAfter(bytes.clone(), 30_000),
                Answer::Bytes(bytes.clone()),
            ],
        );
        for have in [30_000, 60_000] {
            assert!(matches!(get(&server, &payload, dir.path()), Err(DownloadFailure::Interrupted(_))));
            assert_eq!(len_bytes(dir.path(), &payload), have);
        }
        get(&server, &payload, dir.path()).unwrap();
        assert_eq!(std::fs::read(path(dir.path(), &payload)).unwrap(), bytes);
        let starts: Vec<_> = server.asked().iter().map(|request| request.start_bytes).collect();
        assert_eq!(starts, [0, 30_000, 60_000]);
        get(&server, &payload, dir.path()).unwrap();
        assert_eq!(server.asked().len(), 3, "what is whole is not fetched again");
    }

    #[test]
    fn a_server_that_ignores_ranges_starts_the_file_afresh() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let payload = payload(&bytes);
        let answers = vec![Answer::BreaksAfter(bytes.clone(), 5), Answer::BytesIgnoringRange(bytes.clone())];
        server.serve_in_turn(URL, answers);
        get(&server, &payload, dir.path()).unwrap_err();
        get(&server, &payload, dir.path()).unwrap();
        assert_eq!(std::fs::read(path(dir.path(), &payload)).unwrap(), bytes);
    }

    #[test]
    fn a_server_that_never_ends_is_cut_off_at_the_offered_size() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let payload = payload(&bytes[..1000]);
        server.serve(URL, Answer::Bytes(bytes));
        let error = get(&server, &payload, dir.path()).unwrap_err();
        assert!(!matches!(error, DownloadFailure::Storage(_)), "{error:?}");
        assert!(len_bytes(dir.path(), &payload) <= 1000);
    }

    #[test]
    fn failures_are_told_apart() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let payload = payload(&bytes);
        server.serve(URL, Answer::Status(404));
        assert!(matches!(get(&server, &payload, dir.path()), Err(DownloadFailure::Refused(_))));
        for answer in [Answer::Status(503), Answer::Unreachable, Answer::Status(416)] {
            server.serve(URL, answer);
            assert!(matches!(get(&server, &payload, dir.path()), Err(DownloadFailure::Interrupted(_))));
        }
        let huge = OfferedPackage { size_bytes: 1 << 60, ..payload };
        server.serve(URL, Answer::Bytes(bytes));
        let Err(DownloadFailure::Storage(words)) = get(&server, &huge, dir.path()) else { panic!("no room") };
        assert!(words.contains("1152921504606846976 bytes"), "{words}");
    }

    #[test]
    fn a_disk_that_fills_up_on_the_way_is_told_as_such() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let payload = payload(&bytes);
        server.serve(URL, Answer::Bytes(bytes));
        std::os::unix::fs::symlink("/dev/full", path(dir.path(), &payload)).unwrap();
        let Err(DownloadFailure::Storage(words)) = get(&server, &payload, dir.path()) else {
            panic!("no room")
        };
        assert!(words.contains("No space left on device"), "{words}");
    }

    #[test]
    fn another_payload_sweeps_the_old_one_away() {
        let (dir, server, bytes) = (tempfile::tempdir().unwrap(), FakeFetch::new(), bytes());
        let old = payload(&bytes);
        server.serve(URL, Answer::Bytes(bytes.clone()));
        get(&server, &old, dir.path()).unwrap();
        let new = OfferedPackage { sha256: Sha256([8; 32]), ..old.clone() };
        get(&server, &new, dir.path()).unwrap();
        assert!(!path(dir.path(), &old).exists() && path(dir.path(), &new).exists());
    }
}
