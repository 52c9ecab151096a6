//! `net.listeners`: the sockets that a host listens on are the reviewed ones, and from outside only what should answer does.

use std::{io::Read, net::TcpStream, time::Duration};

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked, Stop},
    machine::Machine,
};

/// First port that Linux chooses by itself (ip-sysctl.rst, `ip_local_port_range`).
const FIRST_CHOSEN_PORT: u16 = 32_768;

/// Sockets of every family that somebody could talk to: IP, SCTP, between host and guests, on this host.
const SOCKETS: &str = "ss -Hltunwp; ss -HlnSp; ss -Hln --vsock -p; ss -Hlnxp";

/// Compares what the guest says with the list, and tries its ports from outside.
pub fn listeners(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let list = &bench.lists().runtime;
    let answer = machine.ask(SOCKETS)?;
    bench.note(&answer);
    let found: Vec<String> = answer.lines().filter_map(socket).collect();
    let mut findings = Findings::of(format!("{} sockets", found.len()));
    findings.compare("listening socket", &found, list.listeners.keys());
    bench.phase("outside");
    for &port in list.open_ports.iter().chain(&list.closed_ports) {
        let (answers, expected) = (answers(machine, port)?, list.open_ports.contains(&port));
        bench.note(&format!("TCP port {port} answers: {answers}"));
        findings.require(answers == expected, || {
            let how = if answers { "answers" } else { "does not answer" };
            format!("TCP port {port} {how} from outside")
        });
    }
    Ok(findings)
}

/// A line of ss(8) as the list has it. Addresses that a host is given, and ports that the kernel chose, are `*`.
fn socket(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let address = words.nth(3)?;
    let program = line.split("((\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("somebody");
    if kind.starts_with("u_") {
        // Who holds it depends on whether somebody has asked yet.
        return Some(format!("unix {address}"));
    }
    let (host, port) = address.rsplit_once(':')?;
    let is_everybodys = host == "0.0.0.0" || host == "[::]" || host == "*" || host.starts_with("127.");
    let host = if is_everybodys || host.starts_with("[::1]") { host } else { "*" };
    let chosen = port.parse::<u16>().is_ok_and(|port| port >= FIRST_CHOSEN_PORT);
    Some(format!("{kind} {host}:{} {program}", if chosen { "*" } else { port }))
}

/// Whether a port of the guest answers who comes from outside. The connection itself always succeeds: the guest's network takes it
/// and then tries the guest, which either speaks or hangs up.
fn answers(machine: &mut Machine<'_>, port: u16) -> Result<bool, Stop> {
    /// A server that speaks second is silent for as long; one that is not there hangs up long before.
    const SILENCE: Duration = Duration::from_secs(5);
    let here = machine.forward(port)?;
    let trouble = |error: std::io::Error| Stop::trouble("host-network", &error);
    let mut stream = TcpStream::connect(("127.0.0.1", here)).map_err(trouble)?;
    stream.set_read_timeout(Some(SILENCE)).map_err(trouble)?;
    match stream.read(&mut [0; 1]) {
        Ok(0) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
        Err(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_by_what_stays_the_same() {
        for (line, expected) in [
            (
                "udp UNCONN 0 0 10.0.2.15%enp0s3:68 0.0.0.0:* users:((\"systemd-network\",pid=309,fd=31))",
                "udp *:68 systemd-network",
            ),
            ("tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=368,fd=6))", "tcp 0.0.0.0:22 sshd"),
            ("tcp LISTEN 0 128 [::]:22 [::]:* users:((\"sshd\",pid=368,fd=7))", "tcp [::]:22 sshd"),
            (
                "tcp LISTEN 0 4096 127.0.0.1:43301 0.0.0.0:* users:((\"containerd\",pid=3,fd=1))",
                "tcp 127.0.0.1:* containerd",
            ),
            (
                "tcp LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:* users:((\"systemd-resolve\",pid=2,fd=1))",
                "tcp 127.0.0.53%lo:53 systemd-resolve",
            ),
            ("udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*", "udp *:546 somebody"),
            (
                "u_str LISTEN 0 4096 /run/systemd/private 1402 * 0 users:((\"systemd\",pid=1,fd=20))",
                "unix /run/systemd/private",
            ),
            ("u_str LISTEN 0 5 @evil 1402 * 0 users:((\"socat\",pid=9,fd=5))", "unix @evil"),
            ("v_str LISTEN 0 0 *:1234 *:* users:((\"socat\",pid=9,fd=5))", "v_str *:1234 socat"),
        ] {
            assert_eq!(socket(line).as_deref(), Some(expected));
        }
        assert_eq!(socket("tcp LISTEN"), None);
    }
}
