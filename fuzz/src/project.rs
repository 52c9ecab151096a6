//! What people of a project write, and what a store is exported as.

const FRAGMENT: &str = "+++
packages = [\"openssl\"]
action = \"Restart `sshd`.\"
known-issue = true
+++
- openssl: **out-of-bounds** read ([CVE-2025-9230](https://example.org/CVE-2025-9230))
- *Mended* the lamp
  in the hall.
";

const MAINTAINERS: &str = "[[maintainer]]
handle = \"alice\"
roles = [\"build\", \"test\"]
accounts = [\"@alice:x\"]
active = true
";

const CALENDAR: &str = "epoch = 2013-07-01
office-hours = \"second tuesday 15:30\"
[[freeze]]
from = 2026-12-21
until = 2027-01-03
reason = \"winter holidays\"
";

const EVENT: &str = r#"{"seq":1,"recorded":"2026-12-02T10:00:00Z","kind":"train-closed","body":"{}","previous":"0000000000000000000000000000000000000000000000000000000000000000","digest":"0000000000000000000000000000000000000000000000000000000000000000"}"#;

/// Seeds of the three targets.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let policy = include_str!("../../os/boxcar/release/policy.toml");
    vec![
        ("fragment", "all", text(FRAGMENT)),
        ("rules", "policy", text(policy)),
        ("rules", "maintainers", text(MAINTAINERS)),
        ("rules", "calendar", text(CALENDAR)),
        ("store_export", "event", text(EVENT)),
        (
            "store_export",
            "heartbeat",
            text(r#"{"machine_id":"0123456789abcdef0123456789abcdef","last_check":"2026-12-02T10:00:00Z"}"#),
        ),
    ]
}
