//! The event log as verbs use it: who acts, what has happened, and what is recorded now. Decides nothing.

use std::path::{Path, PathBuf};

use sm_model::{
    Handle, Timestamp, exit,
    release_event::{Envelope, Event},
};
use sm_store::{Blobs, EventLog, Until, events::Head};

/// Which log, and who acts.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Acting {
    /// The store's database.
    #[arg(long, global = true, value_name = "FILE", default_value = "stationmaster.db")]
    pub(crate) db: PathBuf,
    /// Who you are: a short name, as in maintainers.toml.
    #[arg(long = "as", global = true, value_name = "NAME", env = "STATIONMASTER_AS")]
    by: Option<Handle>,
}

/// Nobody said who acts.
#[derive(Debug, thiserror::Error)]
#[error("nobody is named for the record")]
pub(crate) struct Nameless;

impl Nameless {
    pub(crate) fn hint(&self) -> Option<String> {
        Some("say who you are with `--as NAME`, or once with STATIONMASTER_AS in the environment".to_owned())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

impl Acting {
    /// Who acts.
    pub(crate) fn by(&self) -> Result<&Handle, Nameless> {
        self.by.as_ref().ok_or(Nameless)
    }

    /// The log as it stands.
    pub(crate) fn open(&self) -> Result<Logbook, sm_store::Error> {
        Logbook::open(&self.db)
    }
}

/// The event log, read once: what is recorded through it was decided on exactly what it holds.
#[derive(Debug)]
pub(crate) struct Logbook {
    log: EventLog,
    blobs: Blobs,
    events: Vec<Envelope>,
    head: Head,
}

impl Logbook {
    pub(crate) fn open(database: &Path) -> Result<Logbook, sm_store::Error> {
        let log = EventLog::open(database)?;
        let keep = |events: &mut Vec<Envelope>, entry: &sm_store::Entry<Envelope>| {
            events.push(entry.event.clone());
        };
        let (events, head) = log.fold(Until::Newest, Vec::new(), keep)?;
        Ok(Logbook { log, blobs: Blobs::beside(database), events, head })
    }

    /// Everything that has happened, in order.
    pub(crate) fn events(&self) -> &[Envelope] {
        &self.events
    }

    /// Documents by digest.
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Records what somebody did, all or nothing, and gives it with its numbers.
    ///
    /// # Errors
    /// When somebody else has recorded something since the log was read, and when it cannot be written.
    pub(crate) fn record(
        &mut self,
        by: &Handle,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<&[Envelope], sm_store::Error> {
        let envelopes: Vec<Envelope> = (self.head.seq + 1..)
            .zip(events)
            .map(|(seq, body)| Envelope { seq, at: now, by: by.clone(), body })
            .collect();
        self.head = self.log.append(self.head, now, &envelopes)?;
        let n_before = self.events.len();
        self.events.extend(envelopes);
        Ok(&self.events[n_before..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_model::release_event::TrainEvent;

    fn closed(train: &str) -> Event {
        Event::Train(TrainEvent::Closed { train: train.parse().unwrap() })
    }

    #[test]
    fn two_who_read_the_same_log_cannot_both_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let [mut alice, mut bob] = [(); 2].map(|()| Logbook::open(&path).unwrap());
        let (now, by) = (Timestamp::from_unix_secs(1_785_000_000).unwrap(), "alice".parse().unwrap());
        let recorded =
            alice.record(&by, now, vec![closed("2026-12-02"), closed("2026-12-03")]).unwrap().to_vec();
        assert_eq!(recorded.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
        let refusal = bob.record(&by, now, vec![closed("2026-12-02")]).unwrap_err();
        assert!(matches!(refusal, sm_store::Error::HeadMoved { .. }), "{refusal:?}");
        assert_eq!(Logbook::open(&path).unwrap().events(), recorded);
        alice.record(&by, now, vec![closed("2026-12-04")]).unwrap();
    }
}
