//! Operators' pages: filters, paging, counts; reading while writing.

use sm_store::views::{InstanceFilter, LogFilter};

use crate::fleet::{Fleet, event};

fn ids(fleet: &Fleet, filter: &InstanceFilter) -> Vec<String> {
    let page = fleet.views().instances(filter).unwrap();
    page.iter().map(|view| view.instance.machine_id.to_string()).collect()
}

#[test]
fn pages_of_instances_join_to_the_whole() {
    let mut fleet = Fleet::new();
    for n in 0..7 {
        fleet.visit(&format!("m{n}"), "4900.2.0", n, |_| ());
    }
    let mut seen = Vec::new();
    loop {
        let page =
            ids(&fleet, &InstanceFilter { after: seen.last().cloned(), limit: 3, ..Default::default() });
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        seen.extend(page);
    }
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
}

#[test]
fn filters_select_by_group_version_and_status() {
    let mut fleet = Fleet::new();
    fleet.visit("old", "4900.2.0", 1, |_| ());
    fleet.visit("new", "4901.2.0", 1, |_| ());
    fleet.visit("bad", "4900.2.0", 1, |visit| visit.report(event("bad", 3, 0, Some(9))).unwrap());
    let page = |filter: InstanceFilter| ids(&fleet, &InstanceFilter { limit: 10, ..filter });
    assert_eq!(page(InstanceFilter { version: Some("4901.2.0".into()), ..Default::default() }), ["new"]);
    assert_eq!(page(InstanceFilter { status: Some("failed".into()), ..Default::default() }), ["bad"]);
    assert_eq!(page(InstanceFilter { group: Some("stable".into()), ..Default::default() }).len(), 3);
    assert!(page(InstanceFilter { group: Some("' OR 1".into()), ..Default::default() }).is_empty());
}

#[test]
fn the_log_runs_from_the_newest_back_for_one_host_or_all() {
    let mut fleet = Fleet::new();
    for machine_id in ["m1", "m2"] {
        fleet.visit(machine_id, "4900.2.0", 1, |visit| visit.report(event(machine_id, 13, 1, None)).unwrap());
    }
    let seqs = |filter: LogFilter| -> Vec<i64> {
        fleet.views().log(&filter).unwrap().iter().map(|view| view.seq).collect()
    };
    assert_eq!(seqs(LogFilter { limit: 10, ..Default::default() }), [4, 3, 2, 1]);
    assert_eq!(seqs(LogFilter { limit: 10, machine_id: Some("m1".into()), ..Default::default() }), [2, 1]);
    assert_eq!(seqs(LogFilter { limit: 10, kind: Some("event".into()), ..Default::default() }), [4, 2]);
    assert_eq!(seqs(LogFilter { limit: 1, before: Some(4), ..Default::default() }), [3]);
}

#[test]
fn the_census_counts_every_instance_once() {
    let mut fleet = Fleet::new();
    for (machine_id, version) in [("a", "4900.2.0"), ("b", "4900.2.0"), ("c", "4901.2.0")] {
        fleet.visit(machine_id, version, 1, |_| ());
        fleet.visit(machine_id, version, 2, |_| ());
    }
    let census = fleet.views().census().unwrap();
    let counts: Vec<_> = census.iter().map(|row| (row.version.as_str(), row.n_instances)).collect();
    assert_eq!(counts, [("4900.2.0", 2), ("4901.2.0", 1)]);
}

#[test]
fn readers_see_committed_state_while_a_transaction_is_open() {
    let mut fleet = Fleet::new();
    fleet.visit("m1", "4900.2.0", 1, |_| ());
    let views = fleet.views();
    fleet
        .store
        .transaction(|ledger| {
            sm_store::Visit::open(
                ledger,
                &crate::fleet::id("m2"),
                crate::fleet::host("1.0.0"),
                crate::fleet::at(2),
            )?
            .close()?;
            assert_eq!(views.census()?.iter().map(|row| row.n_instances).sum::<u64>(), 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(views.census().unwrap().iter().map(|row| row.n_instances).sum::<u64>(), 2);
}
