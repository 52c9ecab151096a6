//! Reviewed lists: what an image may hold, beside its recipe, so that every change of them is a change somebody reads.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use sha2::Digest as _;
use sm_host::files::{self, FileError};
use sm_model::Sha256;

use crate::rules::{Rule, built_in, parse};

/// Longest list that is read.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// All lists of one operating system, with the digest of their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// `permissions.toml`
    pub permissions: Permissions,
    /// `forbidden.toml`
    pub forbidden: Forbidden,
    /// `accounts.toml`
    pub accounts: Accounts,
    /// `units.toml`
    pub units: Units,
    /// `kernel.toml`
    pub kernel: KernelOptions,
    /// `size.toml`
    pub size: Budget,
    /// `identity.toml`
    pub identity: Identity,
    /// `runtime.toml`
    pub runtime: Runtime,
    /// The built-in rules for consoles and journals, and those of `console.toml`.
    pub rules: Vec<Rule>,
    /// Digest over all of them.
    pub sha256: Sha256,
}

/// Why something is on a list. Nothing is on one without a reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Why(String);

impl TryFrom<String> for Why {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("expected the reason why it is on the list") } else { Ok(Why(text)) }
    }
}

/// Who may do more than usual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Permissions {
    /// SUID and SGID files, `4755 0:0 /usr/bin/su`, with the reason.
    pub suid_sgid: BTreeMap<String, Why>,
    /// Files with capabilities, `HEX /usr/bin/ping` with the attribute in hexadecimal, with the reason.
    pub capabilities: BTreeMap<String, Why>,
    /// Directories with the sticky bit, with the reason.
    pub sticky_directories: BTreeMap<String, Why>,
    /// Links to where a running host writes, `/usr/lib/x -> /run/x`, with the reason.
    pub links_out: BTreeMap<String, Why>,
}

/// What no image may hold. Patterns match a whole path; `*` stands for any characters but `/`, `**` for any at all, `{a,b}` for
/// `a` and for `b`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forbidden {
    /// Package managers and compilers.
    pub package_managers: Vec<String>,
    /// Everything else.
    pub files: Vec<String>,
    /// Exceptions from `files`.
    pub allowed: Vec<String>,
    /// The files that the factory /etc may have, below it. Every other one is forbidden.
    pub etc: Vec<String>,
    /// Files that come from no package, where a running host has them, with the reason. Every other one is forbidden.
    pub own: BTreeMap<String, Why>,
    /// Files that hold keys which open nothing, with the reason.
    pub harmless_keys: BTreeMap<String, Why>,
}

/// Users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accounts {
    /// Users, `NAME UID:GID:SHELL`, with the reason.
    pub users: BTreeMap<String, Why>,
    /// Groups, `NAME GID:MEMBER,MEMBER`, with the reason.
    pub groups: BTreeMap<String, Why>,
    /// Shells that let nobody in.
    pub no_login_shells: Vec<String>,
    /// Users with any other shell.
    pub with_shell: Vec<String>,
    /// Files of our own that decide who gets in, `SHA256 /etc/ssh/sshd_config`, with the reason.
    pub trusted: BTreeMap<String, Why>,
}

/// Units of systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Units {
    /// What `default.target` points to.
    pub default_target: String,
    /// Links that pull units in, `multi-user.target.wants/ssh.service`, with the reason.
    pub enabled: BTreeMap<String, Why>,
    /// Files beside units that change them, `ssh.service.d/10-boxcar.conf`, with the reason.
    pub drop_ins: BTreeMap<String, Why>,
    /// Programs that make units at boot, with the reason.
    pub generators: BTreeMap<String, Why>,
    /// Unit files whose programs need not exist, with the reason.
    pub without_program: BTreeMap<String, Why>,
    /// What else starts programs, by its path: other names of units, services of the bus, hooks, with the reason.
    pub activating: BTreeMap<String, Why>,
}

/// Options of the kernel's build configuration, without `CONFIG_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KernelOptions {
    /// Must be `y`.
    pub built_in: Vec<String>,
    /// Must be `y` or `m`.
    pub available: Vec<String>,
    /// Must not be set.
    pub unset: Vec<String>,
}

/// What an image may weigh, in MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Budget {
    /// The /usr image as it is written to a slot.
    pub usr_image_mib: u64,
    /// Files of /usr, unpacked.
    pub usr_files_mib: u64,
    /// Directories of /usr, unpacked.
    pub areas_mib: BTreeMap<String, u64>,
}

/// What can never change under hosts that are out there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Identity {
    /// `NAME` of os-release.
    pub name: String,
    /// Application id in update requests.
    pub app_id: String,
    /// Defaults of the update agent: `SERVER` is `disabled`.
    pub update: BTreeMap<String, String>,
    /// Sizes of the partitions of a new disk, in their order, in MiB.
    pub partitions_mib: Vec<u64>,
}

/// What a running host looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runtime {
    /// Sockets that programs listen on: `tcp 0.0.0.0:22 sshd`, `unix /run/x`, with the reason. `*` stands for a port that the
    /// kernel chose.
    pub listeners: BTreeMap<String, Why>,
    /// TCP ports that answer others.
    pub open_ports: Vec<u16>,
    /// TCP ports that are tried from outside and must not answer.
    pub closed_ports: Vec<u16>,
    /// Words of the kernel's command line beside `usrhash=`, with the reason.
    pub command_line: BTreeMap<String, Why>,
    /// Patterns of directories where everybody may write, all sticky, with the reason.
    pub shared_directories: BTreeMap<String, Why>,
    /// Security modules of the kernel, in its order.
    pub lsm: String,
    /// Level of the kernel's lockdown.
    pub lockdown: String,
    /// Settings of the kernel: `kernel.sysrq` is `0`.
    pub sysctl: BTreeMap<String, String>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It cannot be read.
    #[error("cannot read a reviewed list")]
    File(#[from] FileError),
    /// A rule in it does not hold.
    #[error("the list `{name}` has a rule that does not hold: {reason}")]
    Rule {
        /// Its file name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It is not of its form.
    #[error("the reviewed list `{name}` is not of its form")]
    Form {
        /// Its file name.
        name: &'static str,
        /// What the parser says.
        source: Box<toml::de::Error>,
    },
}

impl ListError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        Some("name the folder of the reviewed lists with `--lists`, for example `os/boxcar/tests`".to_owned())
    }

    /// The process exit code that tells this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            ListError::File(source) => source.exit_code(),
            ListError::Rule { .. } | ListError::Form { .. } => sm_model::exit::INVALID_INPUT,
        }
    }
}

impl Lists {
    /// Reads the lists in `directory`.
    ///
    /// # Errors
    /// When one is absent or not of its form.
    pub fn load(directory: &Path) -> Result<Self, ListError> {
        let mut hash = sha2::Sha256::new();
        Ok(Lists {
            permissions: list(directory, "permissions.toml", &mut hash)?,
            forbidden: list(directory, "forbidden.toml", &mut hash)?,
            accounts: list(directory, "accounts.toml", &mut hash)?,
            units: list(directory, "units.toml", &mut hash)?,
            kernel: list(directory, "kernel.toml", &mut hash)?,
            size: list(directory, "size.toml", &mut hash)?,
            identity: list(directory, "identity.toml", &mut hash)?,
            runtime: list(directory, "runtime.toml", &mut hash)?,
            rules: console_rules(directory, &mut hash)?,
            sha256: Sha256(hash.finalize().into()),
        })
    }
}

fn list<T: DeserializeOwned>(
    directory: &Path,
    name: &'static str,
    hash: &mut sha2::Sha256,
) -> Result<T, ListError> {
    let bytes = files::read_limited(&directory.join(name), MAX_LIST_BYTES)?;
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(&bytes);
    toml::from_slice(&bytes).map_err(|source| ListError::Form { name, source: Box::new(source) })
}

/// The built-in rules, and the operating system's own where it has any.
fn console_rules(directory: &Path, hash: &mut sha2::Sha256) -> Result<Vec<Rule>, ListError> {
    const NAME: &str = "console.toml";
    let refused = |reason| ListError::Rule { name: NAME, reason };
    let bytes = match files::read_limited(&directory.join(NAME), MAX_LIST_BYTES) {
        Err(error) if error.is_not_found() => Vec::new(),
        bytes => bytes?,
    };
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(&bytes);
    let own = parse(&String::from_utf8_lossy(&bytes)).map_err(refused)?;
    if let Some(twice) = own.iter().find(|rule| built_in().iter().any(|other| other.id == rule.id)) {
        return Err(refused(format!("`{}` is the name of a built-in rule", twice.id)));
    }
    Ok(built_in().iter().cloned().chain(own).collect())
}

/// Whether a pattern matches a whole text: `*` stands for any characters but `/`, `**` for any at all, `{a,b}` for `a` and for
/// `b`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let braces = pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    if let Some((before, (either, after))) = braces {
        return either.split(',').any(|one| matches(&format!("{before}{one}{after}"), text));
    }
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let (after, crosses) = match after.strip_prefix('*') {
        Some(after) => (after, true),
        None => (after, false),
    };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.take_while(|&at| crosses || !rest[..at].contains('/')).any(|at| matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_component_and_double_stars_do_not() {
        assert!(matches("/usr/bin/perl*", "/usr/bin/perl5.40"));
        assert!(!matches("/usr/*/perl", "/usr/lib/x/perl"));
        assert!(matches("/usr/**/perl", "/usr/lib/x/perl"));
        assert!(matches("**.old", "/usr/share/a.old"));
        assert!(!matches("/usr/bin/apt", "/usr/bin/apt-get"));
        assert!(matches("image.*", "image.size-budget"));
    }

    #[test]
    fn braces_stand_for_each_of_what_is_in_them() {
        assert!(matches("pam.d/{su,sudo}", "pam.d/sudo") && matches("{a,b*}/{c,d}", "bb/d"));
        assert!(!matches("pam.d/{su,sudo}", "pam.d/s") && !matches("{a,b}", "{a,b}"));
        assert!(matches("a{b", "a{b"));
    }

    #[test]
    fn nothing_is_listed_without_a_reason() {
        let listed = |why: &str| {
            let keys = ["suid-sgid", "capabilities", "sticky-directories", "links-out"];
            let text = |bare: &str| {
                let table =
                    |key: &&str| format!("{key} = {{ a = '{}' }}\n", if *key == bare { why } else { "x" });
                keys.iter().map(table).collect::<String>()
            };
            keys.map(|bare| toml::from_str::<Permissions>(&text(bare)))
        };
        assert!(listed("people change their own password").iter().all(Result::is_ok));
        for refused in listed(" ") {
            assert!(refused.unwrap_err().to_string().contains("expected the reason"));
        }
        let account = toml::from_str::<Accounts>("users = { 'root 0:0:/bin/bash' = '' }").unwrap_err();
        assert!(account.to_string().contains("expected the reason"));
        let listener = toml::from_str::<Runtime>("listeners = { 'tcp 0.0.0.0:22 sshd' = '' }").unwrap_err();
        assert!(listener.to_string().contains("expected the reason"));
    }

    #[test]
    fn the_lists_of_boxcar_are_of_their_form() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../os/boxcar/tests");
        let lists = Lists::load(&directory).unwrap();
        assert!(!lists.units.enabled.is_empty() && !lists.permissions.suid_sgid.is_empty());
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("permissions.toml"), "suid = []\n").unwrap();
        let refused = Lists::load(directory.path()).unwrap_err();
        assert_eq!(refused.to_string(), "the reviewed list `permissions.toml` is not of its form");
        assert_eq!(refused.exit_code(), sm_model::exit::INVALID_INPUT);
    }
}
