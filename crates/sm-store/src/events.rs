//! The event log: what people decided and what was done, one chain of entries, each covering the one before by digest.
//!
//! Whoever appends says behind which entry: if somebody else was quicker, nothing is written and the caller decides anew on
//! what is now known. Every reading checks the chain, so no state is ever derived from a log that was changed. Generic over the
//! event: what events mean is other crates' business.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};
use serde::{Serialize, de::DeserializeOwned};
use sm_model::{
    Sha256, Timestamp,
    release_event::{self, Envelope, EvidenceEvent},
};
use sm_trust::chain::{BrokenChain, Follower, Link};

pub use sm_trust::chain::Head;

use crate::{Error, document, sqlite};

/// Longest event in bytes of its JSON: what is longer is a blob, named by digest.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Something that is recorded.
pub trait Event: Serialize + DeserializeOwned {
    /// What it is, in dotted words: `vote.cast`. Stored beside the document, for filters.
    fn kind(&self) -> String;

    /// The number and time that its document repeats, where it does: both must be those it gets in the log.
    fn place(&self) -> Option<(u64, Timestamp)> {
        None
    }

    /// Blobs that its document names by digest. They are put into the store before the event is appended.
    fn blobs(&self) -> Vec<Sha256> {
        Vec::new()
    }
}

/// What happens on the way to a release carries its own place, because decisions are computed from it without the store.
impl Event for Envelope {
    fn kind(&self) -> String {
        self.body.kind()
    }

    fn place(&self) -> Option<(u64, Timestamp)> {
        Some((self.seq, self.at))
    }

    fn blobs(&self) -> Vec<Sha256> {
        match &self.body {
            release_event::Event::Evidence(EvidenceEvent::NotesAccepted { notes, .. }) => vec![*notes],
            _ => Vec::new(),
        }
    }
}

/// An event and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry<E> {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When it was appended; never before the entry before it.
    pub recorded: Timestamp,
    /// Its digest, which covers all entries up to this one.
    pub digest: Sha256,
    /// The event.
    pub event: E,
}

/// How much of the log to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Until {
    /// All of it.
    #[default]
    Newest,
    /// What was recorded at that instant or before: the log as it was known then.
    Instant(Timestamp),
    /// Up to the entry of that number.
    Entry(u64),
}

/// The log, in one database file. Any number of processes may have it open.
#[derive(Debug)]
pub struct EventLog {
    connection: Connection,
}

impl EventLog {
    /// Opens the file, creates it where there is none, and brings it to the newest schema.
    ///
    /// # Errors
    /// When the file is no database, cannot be written, or was written by a newer version.
    pub fn open(path: &Path) -> Result<EventLog, Error> {
        Ok(EventLog { connection: sqlite::open(path)? })
    }

    /// Where the log stands.
    ///
    /// # Errors
    /// When the database fails.
    pub fn head(&self) -> Result<Head, Error> {
        last(&self.connection).map(|last| last.map_or(Head::EMPTY, |last| last.head))
    }

    /// Appends events behind the entry `expected`, all or none, and gives the new head. On disk when the call returns.
    ///
    /// # Errors
    /// [`Error::HeadMoved`] when the log does not stand at `expected`: somebody else has appended. [`Error::ClockWentBack`] when
    /// `now` is before the last entry. Else when an event is too long or the database fails.
    pub fn append<E: Event>(&mut self, expected: Head, now: Timestamp, events: &[E]) -> Result<Head, Error> {
        let place = |(seq, event): (u64, &E)| Ok((event.kind(), body(event, seq, now)?));
        let rows: Vec<(String, String)> =
            (expected.seq.saturating_add(1)..).zip(events).map(place).collect::<Result<_, Error>>()?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::statement("begin a transaction"))?;
        let mut head = agree(&transaction, expected, now)?;
        for (kind, body) in &rows {
            head = insert(&transaction, head, now, kind, body)?;
        }
        transaction.commit().map_err(Error::statement("commit a transaction"))?;
        Ok(head)
    }

    /// The entries after number `after`, in order, the chain checked from the log's beginning.
    ///
    /// # Errors
    /// When the database fails, the chain is broken, or an event is not one of this version's.
    pub fn entries<E: Event>(&self, after: u64, until: Until) -> Result<Vec<Entry<E>>, Error> {
        let mut entries = Vec::new();
        walk(&self.connection, until, &mut |row| {
            if row.seq > after {
                entries.push(row.entry()?);
            }
            Ok(())
        })?;
        Ok(entries)
    }

    /// Folds the log into a state: as it is, or as it was at a past instant. Gives the head it was folded up to.
    ///
    /// # Errors
    /// As [`EventLog::entries`].
    pub fn fold<E: Event, S>(
        &self,
        until: Until,
        mut state: S,
        mut apply: impl FnMut(&mut S, &Entry<E>),
    ) -> Result<(S, Head), Error> {
        let head = walk(&self.connection, until, &mut |row| {
            apply(&mut state, &row.entry()?);
            Ok(())
        })?;
        Ok((state, head))
    }

    /// Checks the whole chain, without understanding any event, and gives its head.
    ///
    /// # Errors
    /// [`Error::Broken`] at the first entry that does not follow; else when the database fails.
    pub fn verify(&self) -> Result<Head, Error> {
        walk(&self.connection, Until::Newest, &mut |_| Ok(()))
    }
}

/// Visits entries in order, one consistent view of the log, and checks that they are a chain.
pub(crate) fn walk(
    connection: &Connection,
    until: Until,
    visit: &mut dyn FnMut(&StoredEvent) -> Result<(), Error>,
) -> Result<Head, Error> {
    let failed = || Error::statement("read the log");
    let (instant, seq) = match until {
        Until::Newest => (None, None),
        Until::Instant(instant) => (Some(instant.unix_secs()), None),
        Until::Entry(seq) => (None, Some(i64::try_from(seq).unwrap_or(i64::MAX))),
    };
    let sql = "SELECT seq, recorded, kind, body, previous, digest FROM event
               WHERE (:instant IS NULL OR recorded <= :instant) AND (:seq IS NULL OR seq <= :seq) ORDER BY seq";
    let mut statement = connection.prepare_cached(sql).map_err(failed())?;
    let mut rows = statement.query(named_params! { ":instant": instant, ":seq": seq }).map_err(failed())?;
    let mut follower = Follower::default();
    while let Some(row) = rows.next().map_err(failed())? {
        let row = StoredEvent::read(row)?;
        follower.follow(&row.link(), row.digest)?;
        visit(&row)?;
    }
    Ok(follower.head())
}

fn body<E: Event>(event: &E, seq: u64, now: Timestamp) -> Result<String, Error> {
    if event.place().is_some_and(|place| place != (seq, now)) {
        return Err(Error::OtherPlace { seq });
    }
    let text = document::write("an event", event)?;
    if text.len() > MAX_BODY_BYTES {
        return Err(Error::EntryTooLong { n_bytes: text.len(), max_bytes: MAX_BODY_BYTES });
    }
    Ok(text)
}

/// The last entry, as far as the next one depends on it.
struct Last {
    head: Head,
    recorded: Timestamp,
}

fn last(connection: &Connection) -> Result<Option<Last>, Error> {
    let failed = || Error::statement("read the head of the log");
    let sql = "SELECT seq, digest, recorded FROM event ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(failed())?;
    let read = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get(1)?, row.get::<_, i64>(2)?));
    let found = statement.query_row((), read).optional().map_err(failed())?;
    found
        .map(|(seq, digest, secs)| {
            Ok(Last { head: Head { seq, digest: Sha256(digest) }, recorded: instant(secs)? })
        })
        .transpose()
}

/// The head, if it is the expected one and the clock has not gone back.
fn agree(transaction: &Transaction<'_>, expected: Head, now: Timestamp) -> Result<Head, Error> {
    let last = last(transaction)?;
    let found = last.as_ref().map_or(Head::EMPTY, |last| last.head);
    if found != expected {
        return Err(Error::HeadMoved { expected, found });
    }
    match last {
        Some(Last { recorded, .. }) if now < recorded => Err(Error::ClockWentBack { now, last: recorded }),
        _ => Ok(found),
    }
}

fn insert(
    transaction: &Transaction<'_>,
    head: Head,
    now: Timestamp,
    kind: &str,
    body: &str,
) -> Result<Head, Error> {
    let seq = head.seq + 1;
    let link = Link { seq, recorded: now, kind, body, previous: head.digest };
    let digest = link.digest();
    // A kind that the chain refuses must not get in: nobody could read the log any more.
    Follower::from(head).follow(&link, digest)?;
    StoredEvent::insert(transaction, &link, digest)?;
    Ok(Head { seq, digest })
}

fn instant(secs: i64) -> Result<Timestamp, Error> {
    Timestamp::from_unix_secs(secs).map_err(|_| Error::NoInstant { secs })
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    pub(crate) seq: u64,
    pub(crate) recorded: Timestamp,
    pub(crate) kind: String,
    pub(crate) body: String,
    pub(crate) previous: Sha256,
    pub(crate) digest: Sha256,
}

impl StoredEvent {
    fn read(row: &Row<'_>) -> Result<StoredEvent, Error> {
        let failed = || Error::statement("read the log");
        Ok(StoredEvent {
            seq: row.get(0).map_err(failed())?,
            recorded: instant(row.get(1).map_err(failed())?)?,
            kind: row.get(2).map_err(failed())?,
            body: row.get(3).map_err(failed())?,
            previous: Sha256(row.get(4).map_err(failed())?),
            digest: Sha256(row.get(5).map_err(failed())?),
        })
    }

    pub(crate) fn link(&self) -> Link<'_> {
        Link {
            seq: self.seq,
            recorded: self.recorded,
            kind: &self.kind,
            body: &self.body,
            previous: self.previous,
        }
    }

    fn entry<E: Event>(&self) -> Result<Entry<E>, Error> {
        let event: E = document::read("an event", &self.body)?;
        if event.kind() != self.kind {
            return Err(BrokenChain::BadKind { seq: self.seq, kind: self.kind.clone() }.into());
        }
        if event.place().is_some_and(|place| place != (self.seq, self.recorded)) {
            return Err(Error::OtherPlace { seq: self.seq });
        }
        Ok(Entry { seq: self.seq, recorded: self.recorded, digest: self.digest, event })
    }

    pub(crate) fn insert(connection: &Connection, link: &Link<'_>, digest: Sha256) -> Result<(), Error> {
        let failed = || Error::statement("append to the log");
        let sql =
            "INSERT INTO event (seq, recorded, kind, body, previous, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = connection.prepare_cached(sql).map_err(failed())?;
        let Link { seq, recorded, kind, body, previous } = link;
        statement
            .execute(params![seq, recorded.unix_secs(), kind, body, previous.0, digest.0])
            .map(drop)
            .map_err(failed())
    }
}
