//! What Stationmaster remembers can be checked, carried away and brought back.

use crate::desk::Desk;

#[test]
fn an_exported_store_comes_back_with_the_same_last_digest() {
    let desk = Desk::new();
    desk.write("os/boxcar/changelog/changes/2026-11-20-x.md", "- Words.\n");
    desk.run("bob", &["notes", "comment", "changes/2026-11-20-x.md", "more, please"]);
    let before = desk.run("bob", &["store", "verify"]);
    assert!(before.starts_with("1 events, ") && before.ends_with("all is as it was written\n"), "{before}");
    desk.run("bob", &["store", "export", "away"]);
    desk.run("bob", &["store", "import", "away", "--db", "back.db"]);
    assert_eq!(desk.run("bob", &["store", "verify", "--db", "back.db"]), before);
    assert!(desk.run("bob", &["notes", "remarks", "--db", "back.db"]).contains("more, please"));

    let changed = desk.read("away/event.jsonl").replace("more, please", "less, please");
    desk.write("away/event.jsonl", &changed);
    let refusal = desk.refused("bob", &["store", "import", "away", "--db", "third.db"]);
    assert!(refusal.contains("event.jsonl"), "{refusal}");
}
