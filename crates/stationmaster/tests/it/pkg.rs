//! A request is filed, voted on and turned down; nobody gets packages in past the rules.

use crate::desk::Desk;

const REQUEST: [&str; 9] = [
    "pkg",
    "request",
    "jq",
    "--purpose",
    "Read what containers say.",
    "--alternatives",
    "A container starts too slowly.",
    "--upkeep",
    "Two releases a year.",
];

#[test]
fn a_request_is_on_the_agenda_until_it_is_decided() {
    let desk = Desk::new();
    assert_eq!(desk.run("erin", &REQUEST), "request 1\n");
    assert!(desk.refused("frank", &REQUEST).contains("request 1 asks for the same"));
    assert_eq!(desk.run("frank", &["pkg", "vote", "1", "for"]), "voted on 1\n");
    assert!(desk.refused("frank", &["pkg", "vote", "1", "against"]).contains("the reason is not told"));

    let agenda = desk.run("erin", &["agenda"]);
    for words in ["1 jq, asked by erin", "not measured yet", "others: 1 for, 0 against"] {
        assert!(agenda.contains(words), "{words}: {agenda}");
    }
    let markdown = desk.run("erin", &["agenda", "--format", "markdown"]);
    assert!(markdown.starts_with("# Office hours, ") && markdown.contains("\n## Package requests\n"));

    let refusal = desk.refused("erin", &["pkg", "decide", "1", "accepted", "--reason", "I want it"]);
    for words in
        ["refused for 3 reasons", "erin is no maintainer", "nobody knows yet what it costs", "0 maintainers"]
    {
        assert!(refusal.contains(words), "{words}: {refusal}");
    }
    assert!(desk.refused("erin", &["pkg", "decide", "1", "deferred", "--reason", "x"]).contains("--date"));
    assert!(desk.refused("erin", &["pkg", "list", "7"]).contains("there is no request 7"));
}

#[test]
fn people_are_known_as_soon_as_they_stand_in_the_rules() {
    let desk = Desk::new();
    assert_eq!(desk.run("erin", &REQUEST), "request 1\n");
    let decide = ["pkg", "decide", "1", "declined", "--reason", "a container does"];
    assert!(desk.refused("alice", &decide).contains("alice is no maintainer"));
    desk.write(
        "os/boxcar/release/maintainers.toml",
        "[[maintainer]]\nhandle = \"alice\"\nroles = [\"build\"]\n",
    );
    assert_eq!(desk.run("alice", &decide), "decided 1\n");
}

#[test]
fn a_folder_without_a_project_is_told_and_left_as_it_is() {
    let desk = Desk::new();
    for verb in [&["pkg", "list"][..], &["agenda"], &["notes", "remarks"], &["today"]] {
        let refusal = desk.refused("erin", &[verb, &["--rules", "elsewhere"]].concat());
        assert!(refusal.contains("there is no project here: `elsewhere` does not exist"), "{refusal}");
    }
    assert!(!desk.path("stationmaster.db").exists());
}
