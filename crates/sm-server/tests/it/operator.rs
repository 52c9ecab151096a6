//! What operators see.

use crate::{
    http,
    world::{MACHINE, World, recorded},
};

#[test]
fn health_tells_database_and_every_release() {
    let world = World::new();
    world.publish("4901.2.0");
    let reply = world.get("/healthz");
    assert_eq!(reply.status, 200);
    let release = serde_json::json!({"channel": "stable", "board": "amd64-usr", "version": "4901.2.0"});
    assert_eq!(reply.json(), serde_json::json!({"ok": true, "database": "ok", "releases": [release]}));
}

#[test]
fn health_is_bad_when_the_release_directory_is_gone() {
    let world = World::new();
    std::fs::remove_dir_all(world.root()).unwrap();
    let reply = world.get("/healthz");
    assert_eq!((reply.status, &reply.json()["ok"]), (503, &serde_json::json!(false)));
}

#[test]
fn metrics_count_what_happened() {
    let world = World::new();
    world.publish("4901.2.0");
    world.post(&recorded("update_engine-first-check"));
    world.post(&recorded("update_engine-download-started"));
    world.post(&recorded("update_engine-after-update"));
    world.post("junk");
    let n_bytes = world.get("/stable/amd64-usr/4901.2.0/version.txt").body.len();
    let reply = world.get("/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "stationmaster_update_checks_total{answer=\"offer\",reason=\"\"} 1",
        "stationmaster_update_checks_total{answer=\"noupdate\",reason=\"up-to-date\"} 1",
        "stationmaster_refused_requests_total{reason=\"not-omaha\"} 1",
        "stationmaster_events_total{type=\"download-started\",result=\"success\"} 1",
        "stationmaster_pings_total 2",
        &format!("stationmaster_served_bytes_total {n_bytes}"),
        "stationmaster_instances{group=\"stable\",version=\"4901.2.0\",status=\"updated\"} 1",
    ] {
        assert!(reply.text().lines().any(|found| found == line), "{line} in\n{}", reply.text());
    }
    let is_well_formed =
        |line: &str| line.starts_with("# ") || line.rsplit(' ').next().unwrap().parse::<u64>().is_ok();
    assert!(reply.text().lines().all(is_well_formed), "{}", reply.text());
}

#[test]
fn instances_are_listed_filtered_and_paged() {
    let world = World::new();
    for n in 0..5 {
        world.post(&recorded("update_engine-check").replace(MACHINE, &format!("machine-{n}")));
    }
    let first = world.get("/v1/instances?limit=3").json();
    assert_eq!(first["instances"].as_array().unwrap().len(), 3);
    assert_eq!(first["next"], "machine-2");
    let second = world.get("/v1/instances?limit=3&after=machine-2").json();
    assert_eq!(second["instances"][0]["machine_id"], "machine-3");
    assert_eq!(second["next"], serde_json::Value::Null);
    assert_eq!(world.get("/v1/instances?group=beta").json()["instances"], serde_json::json!([]));
    assert_eq!(world.get("/v1/instances/machine-4").json()["host"]["oem"], "qemu");
}

#[test]
fn the_log_tells_the_story_of_one_host_from_the_newest_back() {
    let world = World::new();
    world.publish("4901.2.0");
    for name in ["first-check", "download-started", "rolled-back"] {
        world.post(&recorded(&format!("update_engine-{name}")));
    }
    world.post(&recorded("ue-rs"));
    let log = world.get(&format!("/v1/events?machine={MACHINE}")).json();
    let story: Vec<_> =
        log["events"].as_array().unwrap().iter().map(|entry| entry["entry"].as_str().unwrap()).collect();
    assert_eq!(story, ["event", "event", "offered", "seen"]);
    assert_eq!(log["events"][0]["error_code"], 44);
    let page = world.get(&format!("/v1/events?machine={MACHINE}&limit=1&before=3")).json();
    assert_eq!((&page["events"][0]["entry"], &page["next"]), (&"offered".into(), &2.into()));
}

#[test]
fn queries_that_are_not_understood_are_told() {
    let world = World::new();
    for path in
        ["/v1/instances?colour=red", "/v1/instances?limit=many", "/v1/events?before=x", "/v1/instances/a%20b"]
    {
        let reply = world.get(path);
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
    }
    assert_eq!(world.get("/v1/instances/unknown").status, 404);
    assert_eq!(http::request(world.address(), "DELETE", "/v1/events", &[]).status, 405);
}
