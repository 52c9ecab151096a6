//! `ssh.hardening`: only a key logs in, only as somebody who may, and only modern algorithms are spoken.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::key_exchange::{Offer, Parsed, parse};
use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked, Stop},
    machine::Machine,
};

/// How long some logins take on a guest's own processor, at most.
const LOGINS: Duration = Duration::from_secs(20);
/// How long a server may take to greet.
const GREETING: Duration = Duration::from_secs(60);

/// Algorithms that are up to date: everything else is refused, whatever is added one day.
const KEY_EXCHANGE: [&str; 5] = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
];
const HOST_KEYS: [&str; 3] = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"];
const CIPHERS: [&str; 3] =
    ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];
const MACS: [&str; 2] = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"];
/// Signatures that a login with a key must not rest on: SHA-1, and keys of 1024 bits.
const OUTDATED_SIGNATURES: [&str; 4] =
    ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssh-dss", "ssh-dss-cert-v01@openssh.com"];
/// Least bits of a host key, by its kind.
const HOST_KEY_BITS: [(&str, u64); 2] = [("RSA", 3072), ("ED25519", 256)];
/// What sshd must do to everybody, whatever was tried here, in its own words (`sshd -T`).
const SETTINGS: [(&str, &[&str]); 15] = [
    ("permitrootlogin", &["no"]),
    ("pubkeyauthentication", &["yes"]),
    ("passwordauthentication", &["no"]),
    ("kbdinteractiveauthentication", &["no"]),
    ("permitemptypasswords", &["no"]),
    ("hostbasedauthentication", &["no"]),
    ("gssapiauthentication", &["no"]),
    ("strictmodes", &["yes"]),
    ("permituserenvironment", &["no"]),
    ("x11forwarding", &["no"]),
    ("permittunnel", &["no"]),
    ("authorizedkeysfile", &[".ssh/authorized_keys .ssh/authorized_keys2", ".ssh/authorized_keys"]),
    ("authorizedkeyscommand", &["none"]),
    ("trustedusercakeys", &["none"]),
    ("loglevel", &["INFO", "VERBOSE"]),
];
/// Most tries of one connection, and seconds that it has for them; none is for ever.
const MAX_TRIES: u64 = 6;
const MAX_GRACE_SECS: u64 = 120;
/// Words in that place that say something about the conversation and are no algorithms.
const MARKERS: [&str; 3] = ["ext-info-s", "kex-strict-s-v00@openssh.com", "kex-strict-c-v00@openssh.com"];

/// Tries to get in, in every way; tells for each whether it worked. A password is set first, so that only sshd can refuse it.
const SCRIPT: &str = r#"
mkdir -p /run/ssh-try && cd /run/ssh-try && rm -f key key.pub
ssh-keygen -q -t ed25519 -N '' -f key
home=$(getent passwd core | cut -d : -f 6)
install -d -o core -g core -m 0700 "$home/.ssh"
install -o core -g core -m 0600 key.pub "$home/.ssh/authorized_keys"
install -d -m 0700 /root/.ssh && install -m 0600 key.pub /root/.ssh/authorized_keys
echo 'core:try-this-1' | chpasswd
printf '#!/bin/sh\necho try-this-1\n' > askpass && chmod +x askpass
export SSH_ASKPASS=$PWD/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=:0
address=$(ip -4 -o route get 192.0.2.1 | grep -o 'src [0-9.]*' | cut -d ' ' -f 2)
login() { ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=30 -o NumberOfPasswordPrompts=1 "$@" 2>last; }
try() { name=$1; shift; if [ "$(login "$@" echo inside)" = inside ]; then echo "in $name"; else echo "out $name: $(tail -n 1 last)"; fi; }
try key -i key -o IdentitiesOnly=yes -o BatchMode=yes core@$address
try password -o PreferredAuthentications=password -o PubkeyAuthentication=no core@$address
try keyboard-interactive -o PreferredAuthentications=keyboard-interactive -o PubkeyAuthentication=no core@$address
try root -i key -o IdentitiesOnly=yes -o BatchMode=yes root@$address
try nobody -i key -o IdentitiesOnly=yes -o BatchMode=yes nobody@$address
try none -o PreferredAuthentications=none core@$address
echo "methods $(ssh -v -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=none core@$address true 2>&1 | sed -n 's/.*Authentications that can continue: //p' | head -n 1 | tr -d '\r')"
for key in /etc/ssh/ssh_host_*_key; do
    echo "host-key $(stat -c '%a %U:%G' $key)"
    ssh-keygen -l -f $key | sed 's/^\([0-9]*\) .*(\([A-Z0-9-]*\))$/host-key-size \2 \1/'
done
echo "writable $(find /etc/ssh ! -type l -perm /022 | tr '\n' ' ')"
echo "matches $(cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf 2>/dev/null | grep -c -i '^ *match ')"
for who in user=root,host=h,addr=192.0.2.9 user=core,host=h,addr=192.0.2.9; do sshd -T -C $who | sed "s/^/setting /"; done
echo "empty $(awk -F : '$2 == "" { print $1 }' /etc/shadow | tr '\n' ' ')"
"#;

/// Looks at what is offered from outside, then tries to get in.
pub fn hardening(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    bench.phase("greeting");
    let offer = greeting(machine)?;
    bench.note(&format!("{offer:?}"));
    bench.phase("logins");
    let answer = machine.run(SCRIPT, LOGINS)?;
    bench.note(&answer.output);
    let mut findings = judge(&answer.output);
    algorithms(&offer, &mut findings);
    Ok(findings)
}

/// What the server says to whoever connects from outside.
fn greeting(machine: &mut Machine<'_>) -> Result<Offer, Stop> {
    let trouble = |error: std::io::Error| Stop::trouble("host-network", &error);
    let port = machine.forward(22)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(trouble)?;
    stream.set_read_timeout(Some(GREETING)).map_err(trouble)?;
    // A server offers nothing to who has not said which protocol they speak (RFC 4253, section 4.2).
    stream.write_all(b"SSH-2.0-stationmaster\r\n").map_err(trouble)?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let deadline = Instant::now() + GREETING;
    while Instant::now() < deadline {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Stop::Broken("sshd hung up before it offered anything".to_owned())),
            Ok(n_read) => bytes.extend_from_slice(&buffer[..n_read]),
            Err(error) => return Err(Stop::Late(format!("sshd did not greet: {error}"))),
        }
        if let Parsed::Whole(offer) = parse(&bytes).map_err(Stop::Broken)? {
            return Ok(offer);
        }
    }
    Err(Stop::Late(format!("sshd did not finish its greeting within {} s", GREETING.as_secs())))
}

fn algorithms(offer: &Offer, findings: &mut Findings) {
    let lists: [(&str, &[String], &[&str]); 4] = [
        ("key exchange", &offer.key_exchange, &KEY_EXCHANGE),
        ("host key", &offer.host_key, &HOST_KEYS),
        ("cipher", &offer.ciphers, &CIPHERS),
        ("authentication code", &offer.macs, &MACS),
    ];
    for (what, offered, modern) in lists {
        let outdated = offered
            .iter()
            .filter(|name| !modern.contains(&name.as_str()) && !MARKERS.contains(&name.as_str()));
        findings.problems.extend(outdated.map(|name| format!("the {what} `{name}` is offered")));
        findings.require(offered.iter().any(|name| modern.contains(&name.as_str())), || {
            format!("no modern {what} is offered")
        });
    }
}

fn judge(said: &str) -> Findings {
    let mut findings = Findings::of("six ways to log in, and what is offered");
    let got = |name: &str| said.lines().any(|line| line == format!("in {name}"));
    let tried = |name: &str| said.lines().any(|line| line.starts_with(&format!("out {name}: ")));
    findings.require(got("key"), || "the owner of a key could not log in".to_owned());
    for way in ["password", "keyboard-interactive", "root", "nobody", "none"] {
        findings.require(!got(way), || format!("somebody got in: {way}"));
        findings.require(got(way) || tried(way), || format!("nobody tried to get in: {way}"));
    }
    let after = |word: &'static str| said.lines().filter_map(move |line| line.strip_prefix(word));
    findings.expect_equal("the list of methods", after("methods ").next().unwrap_or(""), "publickey");
    findings.require(after("host-key ").count() > 0, || "there is no host key".to_owned());
    for key in after("host-key ") {
        findings.expect_equal("mode and owner of a host key", key, "600 root:root");
    }
    for key in after("host-key-size ") {
        let (kind, bits) = key.split_once(' ').unwrap_or((key, ""));
        let least =
            HOST_KEY_BITS.iter().find(|(known, _)| *known == kind).map_or(u64::MAX, |(_, bits)| *bits);
        findings.require(bits.parse().is_ok_and(|bits: u64| bits >= least), || {
            format!("a host key is {kind} of {bits} bits, expected one of {HOST_KEY_BITS:?} or more")
        });
    }
    findings.expect_equal(
        "what others may write of sshd's files",
        after("writable").next().unwrap_or("?").trim(),
        "",
    );
    findings.expect_equal("the number of exceptions (`Match`)", after("matches ").next().unwrap_or("?"), "0");
    settings(&after("setting ").collect::<Vec<_>>(), &mut findings);
    let empty = after("empty ").next().unwrap_or("").trim().to_owned();
    findings.require(empty.is_empty(), || format!("accounts without a password: {empty}"));
    findings
}

/// Holds what sshd says of itself against what it must say, for each of the people it was asked about.
fn settings(said: &[&str], findings: &mut Findings) {
    let values = |key: &str| -> Vec<&str> {
        said.iter()
            .filter_map(|line| line.split_once(' ').filter(|(name, _)| *name == key))
            .map(|(_, value)| value)
            .collect()
    };
    for (key, expected) in SETTINGS {
        let found = values(key);
        findings.require(!found.is_empty(), || format!("sshd does not tell its `{key}`"));
        let others = found.iter().filter(|value| !expected.contains(value));
        findings.problems.extend(
            others.map(|value| format!("`{key}` is `{value}`, expected `{}`", expected.join("` or `"))),
        );
    }
    for (key, most) in [("maxauthtries", MAX_TRIES), ("logingracetime", MAX_GRACE_SECS)] {
        let other =
            values(key).into_iter().find(|value| !value.parse().is_ok_and(|n: u64| (1..=most).contains(&n)));
        findings.problems.extend(other.map(|value| format!("`{key}` is `{value}`, expected 1 to {most}")));
    }
    for signature in values("pubkeyacceptedalgorithms").iter().flat_map(|list| list.split(',')) {
        findings.require(!OUTDATED_SIGNATURES.contains(&signature), || {
            format!("keys may log in with `{signature}`")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "in key\nout password: Permission denied (publickey).\nout keyboard-interactive: x\nout root: x\n\
        out nobody: x\nout none: x\nmethods publickey\nhost-key 600 root:root\nhost-key-size ED25519 256\nwritable \n\
        matches 0\nempty \nsetting maxauthtries 3\nsetting logingracetime 30\n\
        setting pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512\n";

    /// What a machine says whose sshd has all settings that it must have.
    fn said() -> String {
        let settings = SETTINGS.iter().map(|(key, values)| format!("setting {key} {}\n", values[0]));
        settings.fold(SAID.to_owned(), |said, line| said + &line)
    }

    fn offer() -> Offer {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Offer {
            version: "SSH-2.0-x".into(),
            key_exchange: list(&["curve25519-sha256", "ext-info-s", "kex-strict-s-v00@openssh.com"]),
            host_key: list(&["ssh-ed25519"]),
            ciphers: list(&CIPHERS),
            macs: list(&MACS),
        }
    }

    #[test]
    fn only_keys_and_modern_algorithms_are_good() {
        let mut findings = judge(&said());
        algorithms(&offer(), &mut findings);
        assert_eq!(findings.problems, [""; 0]);
    }

    #[test]
    fn each_door_that_is_open_is_told() {
        for (from, to) in [
            ("in key", "out key: no"),
            ("out password: Permission denied (publickey).", "in password"),
            ("out root: x", "in root"),
            ("out none: x\n", ""),
            ("methods publickey", "methods publickey,password"),
            ("host-key 600", "host-key 644"),
            ("host-key 600 root:root\n", ""),
            ("empty ", "empty core"),
            ("ED25519 256", "RSA 1024"),
            ("ED25519 256", "DSA 1024"),
            ("writable ", "writable /etc/ssh/sshd_config"),
            ("matches 0", "matches 1"),
            ("setting permitrootlogin no", "setting permitrootlogin no\nsetting permitrootlogin yes"),
            ("setting strictmodes yes", "setting strictmodes no"),
            ("setting strictmodes yes\n", ""),
            ("authorized_keys2", "authorized_keys2 /etc/ssh/all"),
            ("maxauthtries 3", "maxauthtries 100"),
            ("logingracetime 30", "logingracetime 0"),
            ("ssh-ed25519,rsa", "ssh-rsa,rsa"),
        ] {
            assert_eq!(judge(&said().replace(from, to)).problems.len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn an_outdated_algorithm_and_the_lack_of_modern_ones_are_told() {
        let mut offer = offer();
        offer.macs = vec!["hmac-sha1".to_owned()];
        let mut findings = Findings::default();
        algorithms(&offer, &mut findings);
        assert_eq!(
            findings.problems,
            ["the authentication code `hmac-sha1` is offered", "no modern authentication code is offered"]
        );
    }
}
