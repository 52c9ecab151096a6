//! The projection is a cache of the log: recomputing it gives what visits had written.

use proptest::prelude::*;
use sm_store::views::{InstanceFilter, InstanceView};

use crate::fleet::{Fleet, event, version};

#[derive(Debug, Clone)]
enum Act {
    Check { version: u32 },
    Offer { version: u32 },
    Event { kind: u16, result: u16, code: Option<i64> },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..4u32).prop_map(|version| Act::Check { version }),
        (0..4u32).prop_map(|version| Act::Offer { version }),
        (
            prop_oneof![Just(3u16), Just(13), Just(14), Just(800)],
            0..3u16,
            prop_oneof![Just(None), Just(Some(44))]
        )
            .prop_map(|(kind, result, code)| Act::Event { kind, result, code }),
    ]
}

fn play(fleet: &mut Fleet, story: &[(u8, Act)]) {
    for ((machine, act), now) in story.iter().zip(1..) {
        let machine_id = format!("m{machine}");
        let running = match act {
            Act::Check { version } => format!("490{version}.2.0"),
            Act::Offer { .. } | Act::Event { .. } => "4900.2.0".into(),
        };
        fleet.visit(&machine_id, &running, now, |visit| match act {
            Act::Check { .. } => {}
            Act::Offer { version: n } => visit.offer(version(&format!("490{n}.2.0"))).unwrap(),
            Act::Event { kind, result, code } => {
                visit.report(event(&machine_id, *kind, *result, *code)).unwrap();
            }
        });
    }
}

fn all(fleet: &Fleet) -> Vec<InstanceView> {
    fleet.views().instances(&InstanceFilter { limit: 100, ..InstanceFilter::default() }).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn recomputing_from_the_log_changes_nothing(story in prop::collection::vec((0..3u8, act()), 1..30)) {
        let mut fleet = Fleet::new();
        play(&mut fleet, &story);
        let written = all(&fleet);
        fleet.store.rebuild().unwrap();
        prop_assert_eq!(all(&fleet), written);
    }
}

#[test]
fn a_spoilt_projection_is_repaired_from_the_log() {
    let mut fleet = Fleet::new();
    play(
        &mut fleet,
        &[(1, Act::Check { version: 0 }), (1, Act::Offer { version: 1 }), (2, Act::Check { version: 2 })],
    );
    let written = all(&fleet);
    let connection = rusqlite::Connection::open(&fleet.path).unwrap();
    connection.execute("UPDATE instance SET document = '{}', version = 'x'", ()).unwrap();
    assert!(fleet.views().instances(&InstanceFilter { limit: 100, ..InstanceFilter::default() }).is_err());
    fleet.store.rebuild().unwrap();
    assert_eq!(all(&fleet), written);
    assert_eq!(written.len(), 2);
}
