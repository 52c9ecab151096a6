//! Test reports: whatever is understood is judged, and told to other programs in their forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_model::{Channel, Timestamp, test_report::TestReport};
use sm_release::verdict::Verdict;
use sm_vmtest::suite::{
    catalog, junit,
    matrix::{Matrix, NotYet, Rules},
    table::{self, Paint},
    tap,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(report) = serde_json::from_slice::<TestReport>(bytes) else { return };
    let tests: Vec<_> = catalog::choose(&[], None).collect();
    let rules = Rules {
        not_yet: NotYet::Counts,
        quarantines: &[],
        channel: Channel::Alpha,
        now: Timestamp::UNIX_EPOCH,
    };
    let matrix = Matrix::of(&report, &tests, &rules);
    assert!(matrix.lines.len() >= tests.len(), "no test is forgotten");
    assert!(!matrix.is_good() || matrix.lines.iter().all(|line| line.verdict != Verdict::Failed || !line.keeps_back));
    let tap = tap::text(&matrix);
    let told = tap.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok "));
    assert_eq!(told.count(), matrix.lines.len(), "a message cannot add a result");
    let junit = junit::text(&matrix);
    assert_eq!(junit.matches("<testcase ").count(), matrix.lines.len(), "a message cannot add an element");
    assert!(!junit.chars().any(|c| c.is_control() && c != '\n'), "XML cannot hold it");
    assert!(!table::text(&matrix, Paint::Plain).contains('\u{1b}'), "a terminal would obey it");
});
