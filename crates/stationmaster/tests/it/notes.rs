//! Fragments are written, found faulty, commented, mended; and nobody's words are lost.

use crate::desk::Desk;

const LAMP: &str = "bugfixes/2026-11-20-lamp.md";

fn new_lamp(desk: &Desk) {
    let words = ["notes", "new", "bugfixes", "lamp", "Fixed the the lamp.", "--date", "2026-11-20"];
    assert_eq!(desk.run("bob", &words), format!("os/boxcar/changelog/{LAMP}\n"));
}

#[test]
fn a_suggestion_becomes_a_patch_and_then_the_file() {
    let desk = Desk::new();
    new_lamp(&desk);
    desk.write("better.md", "- Fixed the lamp.\n");
    let suggest = ["notes", "suggest", LAMP, "--text", "better.md", "--reason", "a word too many"];
    assert_eq!(
        desk.run("carol", &["notes", "comment", LAMP, "which one?", "--quote", "the lamp"]),
        "comment 1\n"
    );
    assert_eq!(desk.run("carol", &suggest), "suggestion 2\n");
    assert_eq!(
        desk.run("bob", &["notes", "remarks", "2"]),
        format!(
            "   2  {LAMP}\n      suggestion of carol: a word too many\n\
             --- a/os/boxcar/changelog/{LAMP}\n+++ b/os/boxcar/changelog/{LAMP}\n\
             @@ -1,1 +1,1 @@\n-- Fixed the the lamp.\n+- Fixed the lamp.\n"
        )
    );
    assert_eq!(desk.run("bob", &["notes", "accept", "2"]), format!("os/boxcar/changelog/{LAMP}\n"));
    assert_eq!(desk.read(&format!("os/boxcar/changelog/{LAMP}")), "- Fixed the lamp.\n");
    assert!(desk.refused("bob", &["notes", "accept", "2"]).contains("2 was settled by bob already"));
    desk.run("bob", &["notes", "settle", "1", "the one in the hall"]);
    assert_eq!(desk.run("bob", &["notes", "remarks"]), "nothing is open\n");
}

#[test]
fn a_suggestion_for_a_text_that_has_changed_is_not_taken() {
    let desk = Desk::new();
    new_lamp(&desk);
    desk.write("better.md", "- Fixed the lamp.\n");
    desk.run("carol", &["notes", "suggest", LAMP, "--text", "better.md", "--reason", "r"]);
    let mended = "- Fixed both lamps.\n";
    desk.write(&format!("os/boxcar/changelog/{LAMP}"), mended);
    assert!(
        desk.refused("bob", &["notes", "accept", "1"]).contains("has changed since suggestion 1 was made")
    );
    assert_eq!(desk.read(&format!("os/boxcar/changelog/{LAMP}")), mended);
}

#[test]
fn nobody_speaks_without_a_name() {
    let desk = Desk::new();
    new_lamp(&desk);
    let refusal = desk.refused("", &["notes", "comment", LAMP, "who?"]);
    assert!(refusal.contains("it is not known who you are"), "{refusal}");
}

#[test]
fn a_fragment_that_is_not_there_cannot_be_commented() {
    let refusal = Desk::new().refused("bob", &["notes", "comment", LAMP, "which one?"]);
    assert!(refusal.contains(&format!("there is no fragment `{LAMP}`")), "{refusal}");
}

#[test]
fn every_fault_of_every_file_is_told() {
    let desk = Desk::new();
    new_lamp(&desk);
    desk.write("os/boxcar/changelog/security/2026-11-20-x.md", "- nothing named\n- <script>\n");
    desk.write("os/boxcar/changelog/fixes/2026-11-20-x.md", "- x\n");
    std::os::unix::fs::symlink("/etc/passwd", desk.path("os/boxcar/changelog/changes-link")).unwrap();
    let told = desk.refused("bob", &["notes", "lint"]);
    assert!(told.contains("exit status: 8"), "{told}");
    let draft = desk.refused("bob", &["notes", "draft", "4902.0.0"]);
    assert!(draft.contains("the changelog has 5 faults"), "{draft}");
    assert!(!draft.contains("root:"), "what a link leads to is not read");
}

#[test]
fn the_changelog_of_this_project_is_sound() {
    let desk = Desk::new();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../os/boxcar/recipe.toml");
    let told = desk.run("bob", &["notes", "lint", "--recipe", recipe]);
    assert!(told.ends_with("0 faults\n"), "{told}");
}
