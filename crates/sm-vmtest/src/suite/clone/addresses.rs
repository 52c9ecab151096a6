//! `net.dhcp-static-v6`: addresses come by DHCP and router advertisements and by hand, come back with the cable, and a host without a
//! network still starts.

use std::time::Duration;

use sm_host::qemu::running::Link;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long a network takes to come up on a guest's own processor, at most.
const COME_UP: Duration = Duration::from_secs(10);

/// What QEMU's network gives a guest: its DHCP server, its name server, its router's prefix.
const GIVEN: [(&str, &str); 4] = [
    ("address", "10.0.2.15/24"),
    ("route", "default via 10.0.2.2"),
    ("name server", "10.0.2.3"),
    ("address by router advertisement", "fec0::"),
];

/// Tells addresses, routes, name servers, and the largest packet.
const ASK: &str = r#"
link=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
echo "state $(networkctl --json=short status "$link" | jq -r .OperationalState)"
echo "mtu $(cat /sys/class/net/$link/mtu)"
ip -o address show dev "$link" scope global; ip -o -6 address show dev "$link"
ip route; resolvectl dns "$link"
"#;

/// A link of the host's own with addresses by hand, and a neighbour at its other end that answers.
const BY_HAND: &str = r#"
set -e
mkdir -p /run/systemd/network
cat > /run/systemd/network/10-by-hand.network <<'END'
[Match]
Name=hand0
[Link]
MTUBytes=1400
[Network]
Address=192.0.2.2/24
Address=2001:db8::2/64
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
IPv6DuplicateAddressDetection=0
[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.1
END
networkctl reload
ip netns add neighbour
ip link add hand0 type veth peer name other netns neighbour
ip -n neighbour address add 192.0.2.1/24 dev other
ip -n neighbour address add 2001:db8::1/64 dev other nodad
ip -n neighbour link set other up
ip link set hand0 up
"#;

/// The host waits for a network for two minutes unless told otherwise; that a boot goes on after that is seen sooner so.
const WAIT_LESS: &str = r#"
set -e
mkdir -p /etc/systemd/system/systemd-networkd-wait-online.service.d
cat > /etc/systemd/system/systemd-networkd-wait-online.service.d/less.conf <<'END'
[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-networkd-wait-online --timeout=20
END
"#;

/// Tells whether the neighbour answers.
const NEIGHBOUR: &str = r#"
timeout -s KILL 10 ping -n -I hand0 -c 1 -w 5 -q 192.0.2.1 > /dev/null && echo "by hand 4"
timeout -s KILL 10 ping -n -I hand0 -c 1 -w 5 -q 2001:db8::1 > /dev/null && echo "by hand 6"
ip route get 198.51.100.7 | grep -q 'via 192.0.2.1' && echo "by hand route"
[ "$(cat /sys/class/net/hand0/mtu)" = 1400 ] && echo "by hand mtu"
true
"#;

/// Asks, sets up by hand, pulls the cable.
pub fn addresses(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut findings = Findings::of("DHCP, router advertisements, addresses by hand, a pulled cable");
    bench.phase("dhcp");
    let said = machine.wait_for("addresses", ASK, |answer| missing(&answer.output).is_empty(), COME_UP)?;
    findings.expect_equal("the largest packet", line(&said.output, "mtu "), "1500");
    bench.phase("by-hand");
    machine.ask(BY_HAND)?;
    let all = ["by hand 4", "by hand 6", "by hand route", "by hand mtu"];
    let is_there = |output: &str, what: &str| output.lines().any(|line| line == what);
    machine.wait_for(
        "a neighbour that answers at addresses given by hand",
        NEIGHBOUR,
        |answer| all.iter().all(|what| is_there(&answer.output, what)),
        COME_UP,
    )?;
    bench.phase("cable");
    machine.set_link(Link::Down)?;
    let gone = "a pulled cable to be noticed";
    machine.wait_for(gone, ASK, |answer| line(&answer.output, "state ") == "no-carrier", COME_UP)?;
    machine.set_link(Link::Up)?;
    let back = "addresses after the cable is back";
    machine.wait_for(back, ASK, |answer| missing(&answer.output).is_empty(), COME_UP)?;
    bench.phase("boot-without-network");
    machine.ask(WAIT_LESS)?;
    machine.set_link(Link::Down)?;
    let report = machine.reboot()?;
    findings.notes.push(format!("a boot without a network took {} ms", report.settled_millis));
    let others: Vec<&String> =
        report.failed_units.iter().filter(|unit| *unit != "systemd-networkd-wait-online.service").collect();
    findings.require(others.is_empty(), || format!("without a network, {others:?} failed"));
    Ok(findings)
}

/// What is not there yet of what QEMU's network gives.
fn missing(said: &str) -> Vec<&'static str> {
    let is_up = line(said, "state ") == "routable";
    let lacking = GIVEN.iter().filter(|(_, text)| !said.contains(text)).map(|(what, _)| *what);
    (!is_up).then_some("a link that is routable").into_iter().chain(lacking).collect()
}

fn line<'a>(said: &'a str, word: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or("").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "state routable\nmtu 1500\n2: enp0s3 inet 10.0.2.15/24 metric 1024\n2: enp0s3 inet6 fec0::5054/64\n\
        default via 10.0.2.2 dev enp0s3\nLink 2 (enp0s3): 10.0.2.3\n";

    #[test]
    fn a_network_is_up_when_nothing_is_missing() {
        assert_eq!(missing(SAID), [""; 0]);
        assert_eq!(missing(&SAID.replace("10.0.2.3", "")), ["name server"]);
        assert_eq!(missing(&SAID.replace("routable", "degraded")), ["a link that is routable"]);
        assert_eq!(missing("").len(), 5);
    }
}
