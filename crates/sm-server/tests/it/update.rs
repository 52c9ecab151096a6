//! The update endpoint as clients in the field use it.

use crate::{
    clients::{self, Download, Node},
    http,
    world::{MACHINE, PAYLOAD, World, payload, recorded, sha256},
};

fn check(world: &World, name: &str) -> Result<Option<Download>, u32> {
    let reply = world.post(&recorded(name));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/xml; charset=utf-8"));
    clients::update_engine(reply.text())
}

fn instance(world: &World) -> serde_json::Value {
    world.get(&format!("/v1/instances/{MACHINE}")).json()
}

#[test]
fn update_engine_and_ue_rs_find_the_same_payload_and_can_download_it() {
    let world = World::new();
    world.publish("4901.2.0");
    let expected = Download {
        version: "4901.2.0".into(),
        url: format!("http://{}/stable/amd64-usr/4901.2.0/{PAYLOAD}", world.address()),
        size_bytes: payload("4901.2.0").len() as u64,
        sha256: sha256(&payload("4901.2.0")).0.to_vec(),
    };
    for name in ["update_engine-first-check", "ue-rs"] {
        let reply = world.post(&recorded(name));
        assert_eq!(clients::update_engine(reply.text()).unwrap().as_ref(), Some(&expected), "{name}");
        assert_eq!(clients::ue_rs(reply.text()).as_ref(), Some(&expected), "{name}");
    }
    let path = expected.url.split(&world.address().to_string()).nth(1).unwrap();
    assert_eq!(world.get(path).body, payload("4901.2.0"));
}

#[test]
fn there_is_exactly_one_manifest_even_for_a_mirror_that_could_take_several() {
    let world = World::new();
    world.release("4900.2.1");
    world.publish("4901.2.0");
    let reply = world.post(&recorded("nebraska-syncer"));
    assert_eq!(reply.text().matches("<manifest ").count(), 1);
    assert_eq!(
        world.get("/v1/instances").json()["instances"],
        serde_json::json!([]),
        "a mirror is no instance"
    );
}

#[test]
fn both_spellings_of_the_path_answer() {
    let world = World::new();
    for path in ["/v1/update", "/v1/update/"] {
        let reply = http::post(world.address(), path, recorded("update_engine-check").as_bytes());
        assert_eq!((reply.status, clients::update_engine(reply.text())), (200, Ok(None)), "{path}");
    }
}

/// Every way there can be nothing to do is `noupdate`: anything else makes update_engine report a failed update.
#[test]
fn nothing_to_do_is_never_an_error() {
    let world = World::new();
    assert_eq!(check(&world, "update_engine-check"), Ok(None), "nothing released");
    world.publish("4900.2.0");
    assert_eq!(check(&world, "update_engine-check"), Ok(None), "up to date");
    world.publish("4899.2.0");
    assert_eq!(check(&world, "update_engine-check"), Ok(None), "newer than the release");
    world.publish("4901.2.0");
    let request = recorded("update_engine-check");
    for (what, from, to) in [
        ("unknown group", "track=\"stable\"", "track=\"no-such-group\""),
        ("group without channel folder", "track=\"stable\"", "track=\"beta\""),
        ("hostile group", "track=\"stable\"", "track=\"../../etc\""),
        ("empty group", "track=\"stable\"", "track=\"\""),
        ("unknown board", "board=\"amd64-usr\"", "board=\"riscv64-usr\""),
        ("board without release", "board=\"amd64-usr\"", "board=\"arm64-usr\""),
        (
            "version of another kind",
            "version=\"4900.2.0\" track",
            "version=\"FlatcarUpdateEngine-0.1.0.0\" track",
        ),
        ("another application", "7a1f8e9c", "ffffffff"),
    ] {
        assert!(request.contains(from), "{what}");
        let reply = world.post(&request.replace(from, to));
        assert_eq!((reply.status, clients::update_engine(reply.text())), (200, Ok(None)), "{what}");
    }
    assert!(check(&world, "update_engine-check").unwrap().is_some(), "the request itself gets an offer");
}

#[test]
fn an_unknown_application_is_named_so_and_spoils_no_other() {
    let world = World::new();
    world.publish("4901.2.0");
    let request = recorded("update_engine-check");
    let (head, app) = request.split_at(request.find("    <app").unwrap());
    let app = app.strip_suffix("</request>\n").unwrap();
    let other = app.replace("7a1f8e9c", "ffffffff");
    let reply = world.post(&format!("{head}{other}{app}{other}</request>"));
    let answer = Node::document(reply.text());
    let statuses: Vec<_> = answer.all("app").map(|app| app.get("status").unwrap()).collect();
    assert_eq!(statuses, ["error-unknownApplication", "ok", "error-unknownApplication"]);
    let checks: Vec<_> =
        answer.all("app").map(|app| app.all("updatecheck").next().unwrap().get("status").unwrap()).collect();
    assert_eq!(checks, ["noupdate", "ok", "noupdate"]);
    let instances = world.get("/v1/instances").json();
    assert_eq!(instances["instances"].as_array().unwrap().len(), 1, "only our application has instances");
}

#[test]
fn pings_and_events_are_acknowledged_without_an_update_check() {
    let world = World::new();
    for (name, pings, events) in [
        ("update_engine-waiting", 1, 0),
        ("update_engine-download-started", 0, 1),
        ("update_engine-stub", 0, 1),
    ] {
        let answer = Node::document(world.post(&recorded(name)).text());
        let app = answer.all("app").next().unwrap();
        let found = (app.all("ping").count(), app.all("event").count(), app.all("updatecheck").count());
        assert_eq!(found, (pings, events, 0), "{name}");
    }
}

/// The events of a good update, as update_engine sends them, and what an operator sees after each.
#[test]
fn a_whole_update_can_be_followed() {
    let world = World::new();
    world.publish("4901.2.0");
    let mut statuses = Vec::new();
    for name in
        ["first-check", "download-started", "download-finished", "installed", "waiting", "after-update"]
    {
        world.post(&recorded(&format!("update_engine-{name}")));
        statuses.push(instance(&world)["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(statuses, ["offered", "downloading", "downloaded", "installed", "installed", "updated"]);
    let instance = instance(&world);
    assert_eq!(instance["host"]["version"], "4901.2.0");
    assert_eq!(instance["host"]["alias"], "my-box");
    assert_eq!(instance["last_check"], "2026-07-25T17:20:00Z");
    assert_eq!(check(&world, "update_engine-after-update"), Ok(None));
}

/// update_engine itself would install it again and again.
#[test]
fn a_host_that_fell_back_is_not_offered_that_version_again_but_the_next_one() {
    let world = World::new();
    world.publish("4901.2.0");
    assert!(check(&world, "update_engine-first-check").unwrap().is_some());
    assert_eq!(check(&world, "update_engine-rolled-back"), Ok(None));
    assert_eq!(check(&world, "update_engine-check"), Ok(None));
    assert_eq!(instance(&world)["fell_back_from"], serde_json::json!(["4901.2.0"]));
    assert!(check(&world, "ue-rs").unwrap().is_some(), "other hosts still get it");
    world.publish("4902.2.0");
    assert_eq!(check(&world, "update_engine-check").unwrap().unwrap().version, "4902.2.0");
}

#[test]
fn a_failed_attempt_is_offered_again() {
    let world = World::new();
    world.publish("4901.2.0");
    check(&world, "update_engine-first-check").unwrap().unwrap();
    world.post(&recorded("update_engine-failed"));
    assert_eq!(instance(&world)["status"], "failed");
    assert_eq!(instance(&world)["error_code"], 268_435_465);
    assert!(check(&world, "update_engine-check").unwrap().is_some());
}

#[test]
fn the_hosts_own_words_on_a_failure_are_kept() {
    let world = World::new();
    world.publish("4901.2.0");
    check(&world, "update_engine-first-check").unwrap().unwrap();
    let request = recorded("update_engine-rolled-back").replace(
        "errorcode=\"44\"",
        "errorcode=\"44\" reason=\"boxcar-health.service: containerd &lt;failed&gt;&#10;exit 1\"",
    );
    world.post(&request);
    assert_eq!(instance(&world)["reason"], "boxcar-health.service: containerd <failed> exit 1");
    let log = world.get("/v1/events?kind=event").json();
    assert_eq!(log["events"][0]["error_code"], 44);
    assert_eq!(log["events"][0]["reason"], "boxcar-health.service: containerd <failed> exit 1");
}

#[test]
fn daily_checks_do_not_fill_the_log() {
    let world = World::new();
    for _ in 0..20 {
        check(&world, "update_engine-check").unwrap();
    }
    assert_eq!(
        world.get("/v1/events").json()["events"].as_array().unwrap().len(),
        1,
        "the first sight of the host"
    );
}

#[test]
fn configured_groups_interval_and_public_address_reach_the_answer() {
    let world = World::with(|config| {
        config.groups.insert("production".into(), "stable".parse().unwrap());
        config.poll_interval_secs = Some(600);
        config.public_url = Some("https://cdn.example.org/os".parse().unwrap());
    });
    world.publish("4901.2.0");
    let reply =
        world.post(&recorded("update_engine-check").replace("track=\"stable\"", "track=\"production\""));
    let download = clients::update_engine(reply.text()).unwrap().unwrap();
    assert_eq!(download.url, format!("https://cdn.example.org/os/stable/amd64-usr/4901.2.0/{PAYLOAD}"));
    assert!(reply.text().contains("PollInterval=\"600\""));
}

#[test]
fn many_hosts_at_once_are_all_answered_and_recorded() {
    let world = World::new();
    world.publish("4901.2.0");
    let request = recorded("update_engine-check");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (world, request) = (&world, &request);
            scope.spawn(move || {
                for k in 0..25 {
                    let reply = world.post(&request.replace(MACHINE, &format!("machine-{n}-{k}")));
                    assert!(clients::update_engine(reply.text()).unwrap().is_some());
                }
            });
        }
    });
    let page = world.get("/v1/instances?limit=1000&status=offered").json();
    assert_eq!(page["instances"].as_array().unwrap().len(), 200);
}
