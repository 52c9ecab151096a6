//! The log is append-only, all-or-nothing, bounded, and quiet when nothing changed.

use sm_model::{
    MachineId, Timestamp,
    fleet::{Entry, Instance},
};
use sm_store::{Error, Ledger, Store, Visit, views::LogFilter};

use crate::fleet::{Fleet, at, event, host, id, version};

#[test]
fn the_database_itself_refuses_to_change_the_log() {
    let mut fleet = Fleet::new();
    fleet.visit("m1", "4900.2.0", 1, |_| ());
    let connection = rusqlite::Connection::open(&fleet.path).unwrap();
    for sql in ["UPDATE report SET received = 0", "DELETE FROM report"] {
        let refusal = connection.execute(sql, ()).unwrap_err().to_string();
        assert!(refusal.contains("append-only"), "{sql}: {refusal}");
    }
    assert_eq!(fleet.number("SELECT count(*) FROM report"), 1);
}

#[test]
fn a_host_with_nothing_new_to_say_adds_no_entry_but_its_check_is_known() {
    let mut fleet = Fleet::new();
    for now in 1..=50 {
        fleet.visit("m1", "4900.2.0", now, |_| ());
    }
    assert_eq!(fleet.number("SELECT count(*) FROM report"), 1);
    let view = fleet.views().instance(&id("m1")).unwrap().unwrap();
    assert_eq!((view.instance.first_seen, view.last_check), (at(1), Some(at(50))));
}

#[test]
fn an_offer_repeated_to_a_host_that_has_not_moved_is_recorded_once() {
    let mut fleet = Fleet::new();
    let offer = |visit: &mut Visit<'_>| visit.offer(version("4901.2.0")).unwrap();
    fleet.visit("m1", "4900.2.0", 1, offer);
    fleet.visit("m1", "4900.2.0", 2, offer);
    assert_eq!(fleet.number("SELECT count(*) FROM report WHERE kind = 'offered'"), 1);
    fleet.visit("m1", "4900.2.0", 3, |visit| visit.report(event("m1", 3, 0, Some(9))).unwrap());
    fleet.visit("m1", "4900.2.0", 4, offer);
    assert_eq!(
        fleet.number("SELECT count(*) FROM report WHERE kind = 'offered'"),
        2,
        "a new attempt is a new offer"
    );
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let mut fleet = Fleet::new();
    let outcome: Result<(), Error> = fleet.store.transaction(|ledger| {
        let visit = Visit::open(ledger, &id("m1"), host("4900.2.0"), at(1))?;
        visit.close()?;
        let mut endless = host("4900.2.0");
        endless.alias = "a".repeat(20_000);
        Visit::open(ledger, &id("m2"), endless, at(1)).map(drop)
    });
    assert!(matches!(outcome, Err(Error::EntryTooLong { max_bytes: 16_384, .. })), "{outcome:?}");
    for table in ["report", "instance", "heartbeat"] {
        assert_eq!(fleet.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn committed_entries_are_there_after_reopening() {
    let mut fleet = Fleet::new();
    fleet.visit("m1", "4900.2.0", 1, |visit| visit.report(event("m1", 13, 1, None)).unwrap());
    let path = fleet.path.clone();
    let Fleet { store, dir: _kept, .. } = fleet;
    drop(store);
    let log = {
        Store::open(&path).unwrap();
        Store::views(&path).unwrap().log(&LogFilter { limit: 10, ..LogFilter::default() }).unwrap()
    };
    assert_eq!(log.iter().map(|view| view.seq).collect::<Vec<_>>(), [2, 1]);
}

/// Counts what a visit asks of the database.
#[derive(Default)]
struct Counting {
    known: Option<Instance>,
    writes: usize,
}

impl Ledger for Counting {
    fn instance(&self, _: &MachineId) -> Result<Option<Instance>, Error> {
        Ok(self.known.clone())
    }

    fn append(&mut self, _: &Entry) -> Result<(), Error> {
        self.writes += 1;
        Ok(())
    }

    fn project(&mut self, instance: &Instance) -> Result<(), Error> {
        self.known = Some(instance.clone());
        self.writes += 1;
        Ok(())
    }

    fn heartbeat(&mut self, _: &MachineId, _: Timestamp) -> Result<(), Error> {
        self.writes += 1;
        Ok(())
    }
}

#[test]
fn a_visit_costs_one_write_when_nothing_changed_and_four_for_a_new_host_with_an_offer() {
    let mut ledger = Counting::default();
    let mut visit = Visit::open(&mut ledger, &id("m1"), host("4900.2.0"), at(1)).unwrap();
    visit.offer(version("4901.2.0")).unwrap();
    visit.close().unwrap();
    assert_eq!(ledger.writes, 4);
    Visit::open(&mut ledger, &id("m1"), host("4900.2.0"), at(2)).unwrap().close().unwrap();
    assert_eq!(ledger.writes, 5);
}
