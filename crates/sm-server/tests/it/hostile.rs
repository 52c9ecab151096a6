//! Requests that mean harm, or come from broken programs: each gets a reason or a closed connection, and the server goes on.

use std::{
    io::{Read, Write},
    time::Duration,
};

use crate::{
    clients, http,
    world::{MACHINE, World, recorded},
};

/// The server still does its work.
fn is_well(world: &World) -> bool {
    clients::update_engine(world.post(&recorded("update_engine-check")).text()) == Ok(None)
}

#[test]
fn malformed_documents_are_refused_with_a_reason() {
    let world = World::new();
    let good = recorded("update_engine-check");
    for (what, body, words) in [
        ("nothing", String::new(), "root element"),
        ("no XML", "hello".into(), "root element"),
        ("attribute without value", good.replace("ismachine=\"1\"", "ismachine"), "well-formed"),
        ("cut off", good[..good.len() / 2].into(), "well-formed"),
        ("another protocol", good.replace("protocol=\"3.0\"", "protocol=\"4.0\""), "protocol"),
        ("no application", "<request protocol=\"3.0\"/>".into(), "<app>"),
        ("document type", format!("<!DOCTYPE r [<!ENTITY x \"y\">]>{good}"), "document type"),
        ("hostile machine id", good.replace("0123456789abcdef", "&lt;script&gt;"), "machine id"),
        ("endless alias", good.replace("my-box", &"a".repeat(300)), "256"),
    ] {
        let reply = world.post(&body);
        assert_eq!(reply.status, 400, "{what}: {}", reply.text());
        assert!(reply.text().contains(words), "{what}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "never a page");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    assert!(is_well(&world));
    assert!(world.get("/metrics").text().contains("refused_requests_total{reason=\"not-omaha\"} 8\n"));
}

#[test]
fn a_flood_of_events_is_refused() {
    let world = World::new();
    let event = "<event eventtype=\"3\" eventresult=\"1\"></event>";
    let reply = world.post(&recorded("update_engine-installed").replace(event, &event.repeat(33)));
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("33 events"), "{}", reply.text());
    assert_eq!(world.get("/v1/events").json()["events"], serde_json::json!([]));
}

#[test]
fn oversized_bodies_are_refused_announced_or_not() {
    let world = World::new();
    let announced =
        "POST /v1/update/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n";
    assert_eq!(http::send(world.address(), announced.as_bytes()).status, 413);

    let chunk = format!("{:x}\r\n{}\r\n", 0x8000, "a".repeat(0x8000)).repeat(3);
    let chunked = format!(
        "POST /v1/update/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    let reply = http::send(world.address(), chunked.as_bytes());
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("65536 bytes"), "{}", reply.text());

    let just_fits = format!("{}{}", recorded("update_engine-check"), " ".repeat(65_536));
    assert_eq!(world.post(&just_fits[..65_536]).status, 200);
    assert!(is_well(&world));
}

#[test]
fn wrong_methods_and_paths_are_told() {
    let world = World::new();
    for path in ["/v1/update", "/v1/update/"] {
        let reply = world.get(path);
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{path}");
    }
    assert_eq!(http::post(world.address(), "/healthz", b"").status, 405);
    for path in ["/v1/updates", "/v1/", "/v2/update/", "/nothing"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_host_header_that_is_no_host_is_refused() {
    let world = World::new();
    world.publish("4901.2.0");
    let body = recorded("update_engine-check");
    for host in
        ["Host: evil/path", "Host: user@evil", "Host: \"><x", "Host: a b", "Host: h\r\nHost: evil", "X: y"]
    {
        let head = format!(
            "POST /v1/update/ HTTP/1.1\r\n{host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let reply = http::send(world.address(), &[head.as_bytes(), body.as_bytes()].concat());
        assert_eq!(reply.status, 400, "{host}");
        assert!(!reply.text().contains("evil"), "{host}");
    }
}

#[test]
fn endless_headers_are_refused() {
    let world = World::new();
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for request in [long, many] {
        let mut stream = http::connect(world.address());
        // The server may hang up before everything is sent.
        let _ = stream.write_all(request.as_bytes());
        let answer = http::read_all(stream);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(is_well(&world));
}

fn impatient() -> World {
    World::with(|config| {
        config.limits.header_timeout = Duration::from_millis(50);
        config.limits.body_timeout = Duration::from_millis(50);
        config.limits.idle_timeout = Duration::from_millis(200);
        config.limits.stop_grace = Duration::from_secs(3600);
    })
}

#[test]
fn a_client_that_never_finishes_its_headers_is_cut() {
    let world = impatient();
    let mut stream = http::connect(world.address());
    stream.write_all(b"POST /v1/update/ HTTP/1.1\r\nHost: h\r\n").unwrap();
    let answer = http::read_all(stream);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    assert!(is_well(&world));
}

#[test]
fn a_client_that_never_finishes_its_body_is_told_and_cut() {
    let world = impatient();
    let mut stream = http::connect(world.address());
    stream.write_all(b"POST /v1/update/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n<request").unwrap();
    assert!(http::read_all(stream).starts_with(b"HTTP/1.1 408"));
}

#[test]
fn a_client_that_connects_and_says_nothing_is_cut() {
    let world = impatient();
    assert!(http::read_all(http::connect(world.address())).is_empty());
}

#[test]
fn a_client_that_stops_reading_a_download_is_cut() {
    let world = impatient();
    world.publish("4901.2.0");
    let endless = world.board_dir().join("4901.2.0/endless.bin");
    std::fs::File::create(endless).unwrap().set_len(1 << 30).unwrap();
    let mut stream = http::connect(world.address());
    stream.write_all(b"GET /stable/amd64-usr/4901.2.0/endless.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut status_line = [0; 15];
    stream.read_exact(&mut status_line).unwrap();
    assert_eq!(&status_line, b"HTTP/1.1 200 OK");
    // From here on the client reads nothing. Stopping waits for running requests much longer than this test may take,
    // so it returns only because the server has given up on this one.
    let World { server, dir: _kept, .. } = world;
    server.stop().unwrap();
    assert!(http::read_all(stream).len() < 1 << 30);
}

#[test]
fn connections_beyond_the_limit_wait_for_a_seat() {
    let world = World::with(|config| config.limits.n_connections = 1);
    let first = http::connect(world.address());
    let mut second = http::connect(world.address());
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    drop(first);
    assert!(http::read_all(second).starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_database_that_fails_is_told_and_hosts_come_back() {
    let world = World::new();
    assert!(is_well(&world));
    let database = rusqlite::Connection::open(world.database()).unwrap();
    let full =
        "CREATE TRIGGER full BEFORE UPDATE ON heartbeat BEGIN SELECT RAISE(ABORT, 'disk is full'); END";
    database.execute_batch(full).unwrap();
    let reply = world.post(&recorded("update_engine-check"));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("60")), "{}", reply.text());
    assert!(!reply.text().contains("disk"), "what is wrong inside is for the log: {}", reply.text());
    database.execute_batch("DROP TRIGGER full").unwrap();
    assert!(is_well(&world));
}

#[test]
fn one_hosts_spoilt_row_is_one_hosts_problem() {
    let world = World::new();
    assert!(is_well(&world));
    let database = rusqlite::Connection::open(world.database()).unwrap();
    database.execute("UPDATE instance SET document = '{}'", ()).unwrap();
    // The writer is held up meanwhile, so that they come in few transactions.
    let lock = "BEGIN IMMEDIATE";
    database.execute_batch(lock).unwrap();
    let statuses = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|n| {
                let id = if n == 0 { MACHINE.to_owned() } else { format!("machine-{n}") };
                let request = recorded("update_engine-check").replace(MACHINE, &id);
                let world = &world;
                scope.spawn(move || world.post(&request).status)
            })
            .collect();
        database.execute_batch("COMMIT").unwrap();
        waiting.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(statuses, [503, 200, 200, 200, 200, 200, 200, 200]);
}

#[test]
fn more_requests_than_may_wait_are_told_to_come_back() {
    let world = World::with(|config| config.limits.n_waiting = 1);
    let database = rusqlite::Connection::open(world.database()).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (told, telling) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        // The writer is held up, so sooner or later the queue is full.
        let overloaded = loop {
            let (world, told) = (&world, told.clone());
            scope.spawn(move || told.send(world.post(&recorded("update_engine-check"))).unwrap());
            if let Ok(reply) = telling.recv_timeout(Duration::from_millis(5)) {
                break reply;
            }
        };
        database.execute_batch("COMMIT").unwrap();
        assert_eq!((overloaded.status, overloaded.header("retry-after")), (503, Some("60")));
        assert!(overloaded.text().contains("overloaded"), "{}", overloaded.text());
    });
    drop(told);
    assert!(telling.iter().any(|reply| reply.status == 200), "those who waited are answered");
    assert!(is_well(&world));
}
