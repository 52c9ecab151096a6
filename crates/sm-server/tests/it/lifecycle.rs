//! Starting, stopping, starting again.

use std::net::TcpStream;

use sm_model::exit;
use sm_server::{Config, spawn};

use crate::{
    http,
    world::{MACHINE, World, recorded},
};

#[test]
fn what_hosts_told_survives_a_restart() {
    let world = World::new();
    world.publish("4901.2.0");
    world.post(&recorded("update_engine-first-check"));
    world.post(&recorded("update_engine-rolled-back"));
    let (root, database) = (world.root(), world.database());
    let World { server, .. } = &world;
    let address = server.address();
    let again = spawn(Config::new(&root, &database));
    // Two servers may share a database file for a moment; both see what is committed.
    let again = again.unwrap();
    assert_ne!(again.address(), address);
    let instance = http::get(again.address(), &format!("/v1/instances/{MACHINE}")).json();
    assert_eq!(instance["fell_back_from"], serde_json::json!(["4901.2.0"]));
    again.stop().unwrap();
}

#[test]
fn a_stopped_server_listens_no_more_and_has_closed_its_database() {
    let world = World::new();
    let (address, database) = (world.address(), world.database());
    world.post(&recorded("update_engine-check"));
    let World { server, .. } = world;
    server.stop().unwrap();
    assert!(TcpStream::connect(address).is_err());
    assert!(!database.with_extension("db-wal").exists(), "a closed database has no log beside it");
}

#[test]
fn a_running_answer_is_finished_before_the_stop() {
    use std::io::Write;
    let world = World::new();
    let body = recorded("update_engine-check");
    let (first, rest) = body.split_at(50);
    let mut stream = http::connect(world.address());
    write!(
        stream,
        "POST /v1/update/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server has asked for the body: the request is running.
    let mut asked = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"));
    let World { server, .. } = world;
    let stopping = std::thread::spawn(move || server.stop());
    stream.write_all(first.as_bytes()).unwrap();
    stream.write_all(rest.as_bytes()).unwrap();
    assert!(http::read_all(stream).starts_with(b"HTTP/1.1 200"));
    stopping.join().unwrap().unwrap();
}

#[test]
fn a_missing_release_directory_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = spawn(Config::new(dir.path().join("missing"), dir.path().join("fleet.db"))).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(error.exit_code(), exit::STORAGE);
    assert!(error.hint().unwrap().contains("--root"));
}

#[test]
fn a_database_that_everyone_could_download_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = spawn(Config::new(dir.path(), dir.path().join("fleet.db"))).unwrap_err();
    assert!(error.to_string().contains("outside"), "{error}");
    assert!(!dir.path().join("fleet.db").exists());
}

#[test]
fn an_address_in_use_is_refused_with_what_to_do() {
    let world = World::new();
    let mut config = Config::new(world.root(), world.database().with_file_name("other.db"));
    config.listen = world.address();
    let error = spawn(config).unwrap_err();
    assert_eq!(error.exit_code(), exit::NETWORK);
    assert!(error.hint().unwrap().contains("--listen"));
}
