//! What a guest is given from outside by systemd credentials: a root shell on a virtio-serial port, keys, files.
//! The image itself holds none of it (systemd.system-credentials(7), systemd-debug-generator(8), tmpfiles.d(5)).

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use sm_host::qemu::{Credential, credential::InvalidCredential};

use crate::transcript::shell_script;

/// Name of the port that the root shell listens on.
pub const GUEST_PORT: &str = "org.stationmaster.guest";
/// Name of the port that the journal is written to.
pub const JOURNAL_PORT: &str = "org.stationmaster.journal";
/// The unit that writes the journal.
const JOURNAL_UNIT: &str = "stationmaster-journal.service";
/// Makes a port's device of its name in `$1`, as the kernel lists it: udev's link to it comes late, and each look that has to wait
/// costs a process.
const FIND_PORT: &str = r#"until for port in /sys/class/virtio-ports/*; do read -r name 2>/dev/null < "$port/name" && [ "$name" = "$1" ] && break; done; do sleep 0.2; done; set -- "/dev/${port##*/}";"#;
/// The unit that runs the root shell.
const GUEST_UNIT: &str = "stationmaster-guest.service";

/// What a guest is given from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    shell: bool,
    journal: bool,
    console_user: Option<String>,
    ssh_keys: BTreeMap<String, Vec<String>>,
    files: Vec<(String, Vec<u8>)>,
}

impl Access {
    /// Nothing.
    pub fn none() -> Self {
        Access::default()
    }

    /// A root shell on [`GUEST_PORT`].
    #[must_use]
    pub fn with_shell(mut self) -> Self {
        self.shell = true;
        self
    }

    /// The journal of every boot, as it is written, on [`JOURNAL_PORT`].
    #[must_use]
    pub fn with_journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// Whether the journal is asked for.
    pub const fn has_journal(&self) -> bool {
        self.journal
    }

    /// Logs `user` in on every console without asking for a password (agetty(8), `agetty.autologin`; login(1), `login.noauth`).
    #[must_use]
    pub fn with_console_login(mut self, user: &str) -> Self {
        self.console_user = Some(user.to_owned());
        self
    }

    /// Lets the holder of an SSH key log in as `user`: root everywhere that sshd lets root in, others where the image asks for
    /// the credential `ssh.authorized_keys.USER`. `public_key` is one line as in `authorized_keys`.
    #[must_use]
    pub fn with_ssh_key(mut self, user: &str, public_key: &str) -> Self {
        self.ssh_keys.entry(user.to_owned()).or_default().push(public_key.trim().to_owned());
        self
    }

    /// Writes a file on every boot. `path` is absolute and holds no white space.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// Points the update agent at a server on this machine, which guests see as 10.0.2.2.
    #[must_use]
    pub fn with_update_server(self, port: u16, group: &str) -> Self {
        let config =
            format!("SERVER=http://10.0.2.2:{port}/v1/update/\nGROUP={group}\nREBOOT_STRATEGY=reboot\n");
        self.with_file("/etc/boxcar/update.conf", config)
    }

    /// All of it as credentials.
    ///
    /// # Errors
    /// When something is too large to be given this way.
    pub fn credentials(&self) -> Result<Vec<Credential>, InvalidCredential> {
        let mut credentials = Vec::new();
        let mut units = Vec::new();
        if self.shell {
            units.push((GUEST_UNIT, guest_unit()));
        }
        if self.journal {
            units.push((JOURNAL_UNIT, journal_unit()));
        }
        if !units.is_empty() {
            // An extra unit starts only when something wants it, and basic.target is part of every boot.
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            let wants = format!("[Unit]\nWants={}\n", names.join(" "));
            for (name, text) in units {
                credentials.push(Credential::new(&format!("systemd.extra-unit.{name}"), text)?);
            }
            credentials.push(Credential::new("systemd.unit-dropin.basic.target", wants)?);
        }
        if let Some(user) = &self.console_user {
            credentials.push(Credential::new("agetty.autologin", user.as_str())?);
            credentials.push(Credential::new("login.noauth", "yes")?);
        }
        for (user, keys) in &self.ssh_keys {
            let keys = keys.join("\n") + "\n";
            credentials.push(Credential::new(&format!("ssh.authorized_keys.{user}"), keys)?);
        }
        if !self.files.is_empty() {
            let lines: String =
                self.files.iter().map(|(path, content)| tmpfiles_line(path, content)).collect();
            credentials.push(Credential::new("tmpfiles.extra", lines)?);
        }
        Ok(credentials)
    }
}

/// A line of tmpfiles.d(5) that writes a file, whatever is there: `f+` truncates, `~` takes base64.
fn tmpfiles_line(path: &str, content: &[u8]) -> String {
    format!("f+~ {path} 0644 root root - {}\n", Base64::encode_string(content))
}

/// The shell's unit. It starts as early as there is a device manager, so that a boot that goes wrong can be looked at, and not in
/// the initial file system, whose end would cut it off.
fn guest_unit() -> String {
    let script = quoted_for_systemd(&format!("{FIND_PORT} {}", shell_script()));
    format!(
        "[Unit]
Description=Root shell for the owner of this virtual machine
DefaultDependencies=no
After=systemd-tmpfiles-setup-dev.service
Before=shutdown.target
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release

[Service]
ExecStart=/bin/sh -c {script} sh {GUEST_PORT}
Restart=always
RestartSec=1
"
    )
}

/// The journal's unit: everything since the boot began, and what comes.
fn journal_unit() -> String {
    let journal =
        "journalctl --boot --follow --no-tail --no-pager --quiet --no-hostname --output=short-monotonic";
    let script = format!(r#"{FIND_PORT} exec {journal} >"$1""#);
    let script = quoted_for_systemd(&script);
    format!(
        "[Unit]
Description=Journal for the owner of this virtual machine
DefaultDependencies=no
After=systemd-journald.service systemd-tmpfiles-setup-dev.service
Before=shutdown.target
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release

[Service]
ExecStart=/bin/sh -c {script} sh {JOURNAL_PORT}
Restart=always
RestartSec=1
"
    )
}

/// One argument of a unit's command line that systemd takes literally (systemd.service(5), "Command lines").
fn quoted_for_systemd(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(access: &Access) -> Vec<String> {
        access.credentials().unwrap().iter().map(|c| c.name().to_owned()).collect()
    }

    #[test]
    fn nothing_asked_for_is_nothing_given() {
        assert!(names(&Access::none()).is_empty());
    }

    #[test]
    fn a_shell_is_a_unit_and_something_that_wants_it() {
        assert_eq!(
            names(&Access::none().with_shell()),
            ["systemd.extra-unit.stationmaster-guest.service", "systemd.unit-dropin.basic.target"]
        );
    }

    #[test]
    fn units_share_what_wants_them_because_a_later_one_would_replace_it() {
        assert_eq!(
            names(&Access::none().with_shell().with_journal()),
            [
                "systemd.extra-unit.stationmaster-guest.service",
                "systemd.extra-unit.stationmaster-journal.service",
                "systemd.unit-dropin.basic.target"
            ]
        );
    }

    #[test]
    fn keys_of_one_user_share_one_credential_because_a_later_one_would_replace_it() {
        let access =
            Access::none().with_ssh_key("core", "a\n").with_ssh_key("root", "b").with_ssh_key("core", "c");
        let core = Credential::new("ssh.authorized_keys.core", "a\nc\n").unwrap();
        let root = Credential::new("ssh.authorized_keys.root", "b\n").unwrap();
        assert_eq!(access.credentials().unwrap(), [core, root]);
    }

    #[test]
    fn files_share_one_credential_because_a_later_one_would_replace_it() {
        let access = Access::none().with_file("/etc/a", "x y\n").with_update_server(8080, "alpha");
        assert_eq!(names(&access), ["tmpfiles.extra"]);
    }

    #[test]
    fn a_file_travels_as_base64_and_replaces_what_is_there() {
        assert_eq!(tmpfiles_line("/etc/a", b"x y\n"), "f+~ /etc/a 0644 root root - eCB5Cg==\n");
    }

    #[test]
    fn the_script_survives_systemds_quoting() {
        assert_eq!(quoted_for_systemd(r#"printf "%s\n" $x"#), r#""printf \"%%s\\n\" $$x""#);
        let unit = guest_unit();
        let command = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
        assert!(command.ends_with("\" sh org.stationmaster.guest"), "{command}");
    }
}
