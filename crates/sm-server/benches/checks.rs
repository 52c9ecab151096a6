//! Update checks per second of a fleet that is already known, over real TCP with everything on disk before each answer.
//!
//! `cargo bench -p sm-server`: a plain "no update" check of update_engine, over connections that are kept alive. Prints
//! one line per number of connections. A benchmark, not a test: it judges nothing.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use sm_server::{Config, spawn};

/// Hosts of the fleet.
const N_INSTANCES: usize = 10_000;

/// How long each number of connections is measured.
const DURATION: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("releases");
    std::fs::create_dir_all(root.join("stable/amd64-usr"))?;
    let server = spawn(Config::new(root, dir.path().join("fleet.db"))).map_err(io::Error::other)?;
    let requests: Vec<Vec<u8>> = (0..N_INSTANCES).map(|n| request(n, server.address())).collect();

    let started = Instant::now();
    run(server.address(), &requests, 64, |next| next < N_INSTANCES);
    let mut out = io::stdout().lock();
    writeln!(out, "{N_INSTANCES} new instances in {:.1} s", started.elapsed().as_secs_f64())?;
    for n_connections in [1, 8, 64, 256] {
        let started = Instant::now();
        let (n_checks, slowest) =
            run(server.address(), &requests, n_connections, |_| started.elapsed() < DURATION);
        let per_sec = n_checks as f64 / started.elapsed().as_secs_f64();
        writeln!(
            out,
            "{n_connections:4} connections: {per_sec:8.0} checks/s, slowest {} ms",
            slowest.as_millis()
        )?;
    }
    server.stop().map_err(io::Error::other)
}

/// Sends requests in turn over that many connections while `go_on` holds; how many were answered, and the slowest.
fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    n_connections: usize,
    go_on: impl Fn(usize) -> bool + Sync,
) -> (usize, Duration) {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let (mut n_checks, mut slowest) = (0, Duration::ZERO);
        loop {
            let n = next.fetch_add(1, Relaxed);
            if !go_on(n) {
                return (n_checks, slowest);
            }
            let asked = Instant::now();
            check(&mut stream, &requests[n % requests.len()]);
            slowest = slowest.max(asked.elapsed());
            n_checks += 1;
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..n_connections).map(|_| scope.spawn(client)).collect();
        let ended = clients.into_iter().map(|client| client.join().expect("a client only waits and counts"));
        ended.fold((0, Duration::ZERO), |all, one| (all.0 + one.0, all.1.max(one.1)))
    })
}

fn check(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).expect("the server reads");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"</response>\n") {
        let n_bytes = stream.read(&mut buffer).expect("the server answers");
        assert!(n_bytes > 0, "cut: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..n_bytes]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

fn request(n: usize, address: SocketAddr) -> Vec<u8> {
    let body = include_str!("../tests/data/requests/update_engine-check.xml")
        .replace("0123456789abcdef0123456789abcdef", &format!("{n:032x}"));
    let n_bytes = body.len();
    format!(
        "POST /v1/update/ HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/xml\r\nContent-Length: {n_bytes}\r\n\r\n{body}"
    )
    .into_bytes()
}
