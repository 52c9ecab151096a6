//! `time.sync`: a clock that is years off is set right by a time server, soon and to the second.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked, Stop},
    machine::Machine,
};

/// How long finding the server, asking and setting the clock takes on a guest's own processor, at most.
const SYNC: Duration = Duration::from_secs(20);
/// How far off a clock may be that was set, in seconds: an emulated guest may stand still between being asked and answering.
const MAX_OFF_SECS: u64 = 5;
/// What the wrong clock says: 2019-03-01.
const WRONG_SECS: u64 = 1_551_398_400;

/// Sets the clock wrong and tells timesyncd of our server, which it can only reach at the port that time servers have.
fn set_up(port: u16) -> String {
    format!(
        "systemctl stop systemd-timesyncd
mkdir -p /run/systemd/timesyncd.conf.d
printf '[Time]\\nNTP=127.0.0.2\\nFallbackNTP=\\n' > /run/systemd/timesyncd.conf.d/test.conf
rm -f /run/systemd/timesync/synchronized /var/lib/systemd/timesync/clock
systemd-run --quiet --unit=run-time-relay socat UDP4-LISTEN:123,bind=127.0.0.2,fork,reuseaddr UDP4:10.0.2.2:{port}
date -u -s @{WRONG_SECS} > /dev/null
touch -d @{WRONG_SECS} /usr/lib/clock-epoch 2>/dev/null
systemctl start systemd-timesyncd
date -u +%s"
    )
}

/// How the host comes by its time before anybody changes that: whether it asks, whom, and what its hardware clock says.
const OWN_WAY: &str = r#"
echo "asks $(systemctl is-active systemd-timesyncd)"
timedatectl show --property=LocalRTC --property=Timezone
timedatectl show-timesync --property=SystemNTPServers
"#;

/// What is wrong with a host's own way to its time: servers that an image names go before those that the network gives.
fn judge_own_way(said: &str, findings: &mut Findings) {
    let value =
        |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("").trim().to_owned();
    for (what, key, expected) in [
        ("the service that asks time servers", "asks ", "active"),
        ("a hardware clock in local time", "LocalRTC=", "no"),
        ("the list of time servers that the image insists on", "SystemNTPServers=", ""),
    ] {
        findings.expect_equal(what, value(key).as_str(), expected);
    }
    let zone = value("Timezone=");
    findings.require(matches!(zone.as_str(), "UTC" | "Etc/UTC"), || {
        format!("the time zone is `{zone}`, expected `UTC`")
    });
}

/// Sets the clock wrong and waits for it to be right.
pub fn sync(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let server = TimeServer::start()?;
    let mut findings = Findings::default();
    judge_own_way(&machine.ask(OWN_WAY)?, &mut findings);
    bench.phase("set-wrong");
    let wrong = machine.ask(&set_up(server.port()))?;
    bench.note(&format!("the wrong clock says {wrong}"));
    bench.phase("sync");
    machine.wait_for(
        "the clock set by a time server",
        "timedatectl show --property=NTPSynchronized --value; timedatectl timesync-status --no-pager 2>&1 | head -n 5",
        |answer| answer.output.starts_with("yes"),
        SYNC,
    )?;
    let before = now_secs();
    let guest: u64 = machine.ask("date -u +%s")?.parse().unwrap_or(0);
    let after = now_secs();
    let off_secs = before.saturating_sub(guest).max(guest.saturating_sub(after));
    findings.seen = format!("{} answers; {off_secs} s off", server.n_answers());
    findings.require(wrong.parse::<u64>().is_ok_and(|wrong| wrong < before), || {
        format!("the clock could not be set wrong: it said {wrong}")
    });
    findings.require(off_secs <= MAX_OFF_SECS, || {
        format!("the clock is {off_secs} s off, expected at most {MAX_OFF_SECS} s")
    });
    findings.require(server.n_answers() > 0, || "the time server was never asked".to_owned());
    Ok(findings)
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time server on this machine's loopback address, which ends when it is dropped.
struct TimeServer {
    port: u16,
    n_answers: Arc<AtomicU32>,
    has_ended: Arc<AtomicBool>,
}

impl TimeServer {
    fn start() -> Result<Self, Stop> {
        const LOOK: Duration = Duration::from_millis(200);
        let trouble = |error: std::io::Error| Stop::trouble("host-network", &error);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(trouble)?;
        socket.set_read_timeout(Some(LOOK)).map_err(trouble)?;
        let server = TimeServer {
            port: socket.local_addr().map_err(trouble)?.port(),
            n_answers: Arc::default(),
            has_ended: Arc::default(),
        };
        let (n_answers, has_ended) = (Arc::clone(&server.n_answers), Arc::clone(&server.has_ended));
        thread::spawn(move || {
            while !has_ended.load(Ordering::Relaxed) {
                if serve_one(&socket).is_some() {
                    n_answers.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(server)
    }

    const fn port(&self) -> u16 {
        self.port
    }

    fn n_answers(&self) -> u32 {
        self.n_answers.load(Ordering::Relaxed)
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }
}

fn serve_one(socket: &UdpSocket) -> Option<SocketAddr> {
    let mut packet = [0; 128];
    let (n_bytes, client) = socket.recv_from(&mut packet).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let reply = answer(&packet[..n_bytes], now)?;
    socket.send_to(&reply, client).ok().map(|_| client)
}

/// The answer of a primary server to a client's request (RFC 5905, section 7.3); none to what is no request.
fn answer(request: &[u8], since_1970: Duration) -> Option<[u8; 48]> {
    /// From 1900-01-01, where NTP begins to count, to 1970-01-01.
    const SECS_1900_TO_1970: u64 = 2_208_988_800;
    const CLIENT: u8 = 3;
    let request: &[u8; 48] = request.get(..48)?.try_into().ok()?;
    let version = request[0] >> 3 & 7;
    if request[0] & 7 != CLIENT || !(3..=4).contains(&version) {
        return None;
    }
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    // The era's seconds are the low 32 bits (section 6).
    let stamp = ((since_1970.as_secs() + SECS_1900_TO_1970) << 32 | fraction).to_be_bytes();
    let mut reply = [0; 48];
    // No warning, the client's version, mode 4: server.
    reply[0] = version << 3 | 4;
    reply[1] = 1; // stratum: a primary server
    reply[2] = request[2]; // poll interval: as asked
    reply[3] = 0xec; // precision: 2^-20 s
    reply[12..16].copy_from_slice(b"LOCL");
    reply[16..24].copy_from_slice(&stamp); // reference
    reply[24..32].copy_from_slice(&request[40..48]); // origin: what the client sent as its own time
    reply[32..40].copy_from_slice(&stamp); // receive
    reply[40..48].copy_from_slice(&stamp); // transmit
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> [u8; 48] {
        let mut request = [0; 48];
        request[0] = 0x23; // version 4, client
        request[40..48].copy_from_slice(&7_u64.to_be_bytes());
        request
    }

    #[test]
    fn an_answer_tells_the_time_and_whose_question_it_answers() {
        let reply = answer(&request(), Duration::from_millis(1_500)).unwrap();
        assert_eq!(reply[..4], [0x24, 1, 0, 0xec]);
        assert_eq!(reply[24..32], 7_u64.to_be_bytes());
        assert_eq!(reply[40..48], [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_request_gets_no_answer() {
        assert!(answer(&[0x23; 47], Duration::ZERO).is_none());
        let mut server = request();
        server[0] = 0x24;
        assert!(answer(&server, Duration::ZERO).is_none());
        server[0] = 0x0b;
        assert!(answer(&server, Duration::ZERO).is_none());
    }

    #[test]
    fn a_server_answers_who_asks_over_the_network() {
        let server = TimeServer::start().unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(&request(), (Ipv4Addr::LOCALHOST, server.port())).unwrap();
        let mut reply = [0; 64];
        assert_eq!(client.recv_from(&mut reply).unwrap().0, 48);
    }
}
