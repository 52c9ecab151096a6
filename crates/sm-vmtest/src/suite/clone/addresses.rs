//! `net.dhcp-static-v6`: addresses come by DHCP and router advertisements and by hand, come back with the cable, and a host without a
//! network still starts. Names are asked of the servers that a link was given, and of nobody else.

use std::time::Duration;

use sm_host::qemu::running::Link;

use super::names::{ADDRESS, NAME, NameServer};
use crate::{
    Answer,
    suite::{
        bench::Bench,
        finding::{Findings, Looked, Stop},
        machine::Machine,
    },
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

/// Tells which name servers are asked whatever the network says, and what the host calls itself when it asks for an address.
const OWN_WAY: &str = r#"
link=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
resolvectl dns | sed -n 's/^Global: */everywhere /p'
echo "own $(tr -d : < /sys/class/net/$link/address)"
sed -n 's/^CLIENTID=/client /p' /run/systemd/netif/leases/$(cat /sys/class/net/$link/ifindex)
echo "waits $(systemctl show --property=ExecStart --value systemd-networkd-wait-online.service)"
"#;

/// The same card under another name, as in the next machine. It is still the first of all.
const OTHER_CARD: &str = r#"
set -e
link=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
ip link set "$link" down
ip link set "$link" name card7
ip link set card7 up
udevadm settle --timeout=20
networkctl reconfigure card7
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
DNS=192.0.2.1
Domains=~suite.test
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

/// The host waits for a network for two minutes unless told otherwise; that a boot goes on after that is seen sooner so. All that
/// the image says beside that stays.
const WAIT_LESS: &str = r#"
set -e
mkdir -p /etc/systemd/system/systemd-networkd-wait-online.service.d
own=$(systemctl cat systemd-networkd-wait-online.service | sed -n 's/^ExecStart=\(.\)/\1/p' | tail -n 1)
printf '[Service]\nExecStart=\nExecStart=%s --timeout=20\n' "$own" \
    > /etc/systemd/system/systemd-networkd-wait-online.service.d/zz-less.conf
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
    let said = comes_up(machine, "addresses")?;
    findings.expect_equal("the largest packet", line(&said, "mtu "), "1500");
    judge_own_way(&machine.ask(OWN_WAY)?, &mut findings);
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
    bench.phase("names");
    let server = NameServer::start()?;
    machine.ask(&server.moved_to("neighbour", "192.0.2.1"))?;
    machine.wait_for(
        &format!("`{NAME}` to be `{ADDRESS}`, as the name server of the link says"),
        // What was found out while the server was still starting does not count.
        &format!(
            "resolvectl flush-caches; timeout 20 getent ahostsv4 {NAME} 2>&1; resolvectl status hand0 2>&1"
        ),
        |answer| answer.output.starts_with(ADDRESS),
        COME_UP,
    )?;
    bench.phase("cable");
    machine.set_link(Link::Down)?;
    let gone = "a pulled cable to be noticed";
    machine.wait_for(gone, ASK, |answer| line(&answer.output, "state ") == "no-carrier", COME_UP)?;
    machine.set_link(Link::Up)?;
    comes_up(machine, "addresses after the cable is back")?;
    bench.phase("other-card");
    machine.ask(OTHER_CARD)?;
    comes_up(machine, "addresses of a card of another name")?;
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

/// Waits until the link has all that the network gives, and returns what it says then.
fn comes_up(machine: &mut Machine<'_>, what: &str) -> Result<String, Stop> {
    let is_up = |answer: &Answer| missing(&answer.output).is_empty();
    Ok(machine.wait_for(&format!("{what}: {GIVEN:?}"), ASK, is_up, COME_UP)?.output)
}

/// What is wrong with the image's own settings.
fn judge_own_way(said: &str, findings: &mut Findings) {
    let everywhere = line(said, "everywhere ");
    findings.expect_equal("the list of name servers that the image insists on", everywhere, "");
    let (client, own) = (line(said, "client "), line(said, "own "));
    findings.require(!own.is_empty() && client.ends_with(own), || {
        format!("the host asks for addresses as `{client}`, expected its own link's `{own}`: others may ask as the same")
    });
    let waits = line(said, "waits ");
    let for_ever = ["--timeout=0 ", "--timeout 0 ", "--timeout=infinity"];
    findings
        .require(waits.contains("wait-online") && !for_ever.iter().any(|word| waits.contains(word)), || {
            format!("the boot waits for a network with `{waits}`, expected an end to that")
        });
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
    fn what_an_image_insists_on_is_told() {
        let said = "everywhere \nown 525400123456\nclient 01525400123456\n\
            waits { path=/x/wait-online ; argv[]=/x/wait-online --any ; }\n";
        for (from, to, n_problems) in [
            ("", "", 0),
            ("everywhere ", "everywhere 9.9.9.9", 1),
            ("client 01525400123456", "client ff000102", 1),
            ("own 525400123456", "own ", 1),
            ("--any", "--timeout=0", 1),
            ("wait-online", "true", 1),
        ] {
            let mut findings = Findings::default();
            judge_own_way(&said.replace(from, to), &mut findings);
            assert_eq!(findings.problems.len(), n_problems, "{from}: {:?}", findings.problems);
        }
    }

    #[test]
    fn a_network_is_up_when_nothing_is_missing() {
        assert_eq!(missing(SAID), [""; 0]);
        assert_eq!(missing(&SAID.replace("10.0.2.3", "")), ["name server"]);
        assert_eq!(missing(&SAID.replace("routable", "degraded")), ["a link that is routable"]);
        assert_eq!(missing("").len(), 5);
    }
}
