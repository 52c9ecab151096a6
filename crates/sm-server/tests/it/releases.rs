//! Which release is on offer while operators work in the release directory.

use std::fs;

use crate::{
    clients,
    world::{PAYLOAD, World, manifest, payload, recorded, write_manifest},
};

fn offered(world: &World) -> Option<String> {
    let reply = world.post(&recorded("update_engine-check"));
    clients::update_engine(reply.text()).unwrap().map(|download| download.version)
}

fn problem(world: &World) -> String {
    let health = world.get("/healthz");
    assert_eq!(health.status, 200, "a bad release does not make the server ill");
    health.json()["releases"][0]["problem"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_new_current_is_offered_at_once_and_without_restart() {
    let world = World::new();
    for version in ["4901.2.0", "4902.2.0", "4903.2.0"] {
        world.publish(version);
        assert_eq!(offered(&world).as_deref(), Some(version));
        assert_eq!(world.get("/healthz").json()["releases"][0]["version"], version);
    }
}

#[test]
fn taking_current_away_withdraws_the_release() {
    let world = World::new();
    world.publish("4901.2.0");
    assert!(offered(&world).is_some());
    fs::remove_file(world.board_dir().join("current")).unwrap();
    assert_eq!(offered(&world), None);
    assert_eq!(world.get("/healthz").json()["releases"], serde_json::json!([]));
}

#[test]
fn a_payload_that_is_pruned_is_offered_no_more_and_told() {
    let world = World::new();
    world.publish("4901.2.0");
    assert!(offered(&world).is_some() && problem(&world).is_empty());
    fs::remove_file(world.board_dir().join("4901.2.0").join(PAYLOAD)).unwrap();
    assert_eq!(offered(&world), None);
    assert!(problem(&world).contains("cannot read payload"), "{}", problem(&world));
}

#[test]
fn a_release_that_is_not_whole_is_told_and_the_last_good_one_stays() {
    let world = World::new();
    let dir = world.board_dir().join("4902.2.0");
    let break_it: [(&str, &dyn Fn()); 6] = [
        ("is not valid", &|| fs::write(dir.join("manifest.json"), "{").unwrap()),
        ("format 9", &|| write_manifest(&dir, &sm_model::Manifest { format: 9, ..manifest("4902.2.0") })),
        ("has 5 bytes", &|| fs::write(dir.join(PAYLOAD), "short").unwrap()),
        ("cannot read payload", &|| fs::remove_file(dir.join(PAYLOAD)).unwrap()),
        ("where its manifest belongs", &|| write_manifest(&dir, &manifest("4999.2.0"))),
        ("manifest is for beta", &|| {
            write_manifest(
                &dir,
                &sm_model::Manifest { channel: sm_model::Channel::Beta, ..manifest("4902.2.0") },
            );
        }),
    ];
    for (words, break_it) in break_it {
        world.publish("4901.2.0");
        assert_eq!(offered(&world).as_deref(), Some("4901.2.0"));
        world.release("4902.2.0");
        break_it();
        world.point_current_at("4902.2.0");
        assert_eq!(offered(&world).as_deref(), Some("4901.2.0"), "{words}");
        assert!(problem(&world).contains(words), "{words}: {}", problem(&world));
    }
}

#[test]
fn a_release_is_offered_once_it_is_whole_even_if_its_manifest_came_first() {
    let world = World::new();
    world.release("4901.2.0");
    let file = world.board_dir().join("4901.2.0").join(PAYLOAD);
    fs::write(&file, "half").unwrap();
    world.point_current_at("4901.2.0");
    assert_eq!(offered(&world), None);
    fs::write(&file, payload("4901.2.0")).unwrap();
    world.clock.set("2026-07-25T17:20:01Z".parse().unwrap());
    assert_eq!(offered(&world).as_deref(), Some("4901.2.0"));
}

#[test]
fn a_last_good_release_whose_payload_is_gone_is_not_offered() {
    let world = World::new();
    world.publish("4901.2.0");
    assert!(offered(&world).is_some());
    fs::remove_dir_all(world.board_dir().join("4901.2.0")).unwrap();
    assert_eq!(offered(&world), None);
    assert!(problem(&world).contains("cannot follow `current`"), "{}", problem(&world));
}

#[test]
fn a_current_that_leads_outside_is_not_offered() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    world.release("4901.2.0");
    let moved = outside.path().join("4901.2.0");
    fs::create_dir(&moved).unwrap();
    for entry in fs::read_dir(world.board_dir().join("4901.2.0")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), moved.join(entry.file_name())).unwrap();
    }
    world.point_current_at(moved.to_str().unwrap());
    assert_eq!(offered(&world), None);
    assert!(problem(&world).contains("outside"), "{}", problem(&world));
    assert_eq!(world.get(&format!("/stable/amd64-usr/current/{PAYLOAD}")).status, 404);
}

#[test]
fn a_current_that_is_a_folder_of_its_own_is_not_offered() {
    let world = World::new();
    world.release("4901.2.0");
    fs::rename(world.board_dir().join("4901.2.0"), world.board_dir().join("current")).unwrap();
    assert_eq!(offered(&world), None);
    assert!(problem(&world).contains("is not a link"), "{}", problem(&world));
}
