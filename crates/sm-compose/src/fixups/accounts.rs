//! Users and groups: what `base-passwd`, `systemd-sysusers` and `shadowconfig` would have written, without running them.
//!
//! Numbers are static: they come from Debian's master files or from the recipe, never from what happened to be free.

use std::collections::BTreeMap;

use sm_model::Timestamp;

use super::{
    FixupError,
    sysusers::{self, Declaration},
};
use crate::{
    recipe::{Mode, Target},
    tree::{Entry, Origin, Tree},
};

const SYSUSERS_DIR: &str = "/usr/lib/sysusers.d";
const MASTER_USERS: &str = "/usr/share/base-passwd/passwd.master";
const MASTER_GROUPS: &str = "/usr/share/base-passwd/group.master";
/// Group `shadow` of Debian's master file: may read the password files.
const SHADOW_GID: u32 = 42;
/// Password ages of an account that has no password.
const SHADOW_POLICY: &str = "0:99999:7:::";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
    description: String,
    home: String,
    shell: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    gid: u32,
    members: Vec<String>,
}

#[derive(Debug, Default)]
struct Accounts {
    users: BTreeMap<String, Account>,
    groups: BTreeMap<String, Group>,
}

/// Writes `/etc/{passwd,group,shadow,gshadow}`, and one sysusers.d file in place of the packages': a host whose own
/// `/etc/passwd` hides a new release's gets the same numbers from it.
pub(super) fn write(
    tree: &mut Tree,
    target: &Target,
    os_id: &str,
    time: Timestamp,
) -> Result<(), FixupError> {
    let mut accounts = Accounts::default();
    accounts.add_master_files(tree)?;
    accounts.add_recipe(target);
    accounts.add_declared(&declared(tree)?)?;
    accounts.check_numbers()?;
    let days = time.unix_secs() / 86_400;
    let open = Mode { mode: 0o644, uid: 0, gid: 0 };
    let secret = Mode { mode: 0o640, uid: 0, gid: SHADOW_GID };
    for (path, text, mode) in [
        ("/etc/passwd", accounts.passwd(), &open),
        ("/etc/group", accounts.group(), &open),
        ("/etc/shadow", accounts.shadow(days), &secret),
        ("/etc/gshadow", accounts.gshadow(), &secret),
    ] {
        tree.put(path, Entry { mode: mode.clone(), ..Entry::file(text, Origin::Composed) })?;
    }
    tree.take(SYSUSERS_DIR);
    let path = format!("{SYSUSERS_DIR}/{os_id}.conf");
    tree.put(&path, Entry::file(accounts.sysusers(), Origin::Composed))?;
    Ok(())
}

/// Everything that packages declare in sysusers.d, in the order systemd reads it: by file name.
fn declared(tree: &Tree) -> Result<Vec<(String, Declaration)>, FixupError> {
    let mut found = Vec::new();
    for (path, entry) in tree.below(SYSUSERS_DIR) {
        let Some(bytes) = tree.file(path).filter(|_| path.ends_with(".conf")) else { continue };
        let text = String::from_utf8_lossy(bytes);
        let lines = sysusers::parse(&text)
            .map_err(|source| FixupError::Sysusers { path: path.to_owned(), source })?;
        let by = format!("`{path}` of {}", entry.origin);
        found.extend(lines.into_iter().map(|line| (by.clone(), line)));
    }
    Ok(found)
}

impl Accounts {
    fn add_master_files(&mut self, tree: &Tree) -> Result<(), FixupError> {
        for (line, fields) in colon_lines(tree, MASTER_USERS)? {
            let [name, _, uid, gid, description, home, shell] = fields[..] else {
                return Err(bad_line(MASTER_USERS, line));
            };
            let account = Account {
                uid: uid.parse().map_err(|_| bad_line(MASTER_USERS, line))?,
                gid: gid.parse().map_err(|_| bad_line(MASTER_USERS, line))?,
                description: description.to_owned(),
                home: home.to_owned(),
                shell: shell.to_owned(),
            };
            self.users.insert(name.to_owned(), account);
        }
        for (line, fields) in colon_lines(tree, MASTER_GROUPS)? {
            let [name, _, gid, _] = fields[..] else { return Err(bad_line(MASTER_GROUPS, line)) };
            let gid = gid.parse().map_err(|_| bad_line(MASTER_GROUPS, line))?;
            self.groups.insert(name.to_owned(), Group { gid, members: Vec::new() });
        }
        Ok(())
    }

    fn add_recipe(&mut self, target: &Target) {
        for (name, group) in &target.groups {
            let group = Group { gid: group.gid, members: group.members.clone() };
            match self.groups.get_mut(name) {
                Some(existing) => existing.members.extend(group.members),
                None => drop(self.groups.insert(name.clone(), group)),
            }
        }
        for (name, user) in &target.users {
            let account = Account {
                uid: user.uid,
                gid: user.gid,
                description: user.description.clone(),
                home: user.home.clone(),
                shell: user.shell.clone(),
            };
            self.users.insert(name.clone(), account);
        }
    }

    /// Checks that whatever a package declares exists by now; adds what has a number of its own, and memberships.
    fn add_declared(&mut self, declared: &[(String, Declaration)]) -> Result<(), FixupError> {
        let mut unnumbered = Vec::new();
        for (by, declaration) in declared {
            match declaration {
                Declaration::Group { name, gid } => match (self.groups.contains_key(name), gid) {
                    (true, _) => {}
                    (false, Some(gid)) => {
                        self.groups.insert(name.clone(), Group { gid: *gid, members: Vec::new() });
                    }
                    (false, None) => unnumbered.push(format!("group `{name}` ({by})")),
                },
                Declaration::User { name, .. } if !self.users.contains_key(name) => {
                    unnumbered.push(format!("user `{name}` ({by})"));
                }
                Declaration::User { .. } => {}
                Declaration::Member { user, group } => {
                    self.groups.entry(group.clone()).or_default().members.push(user.clone());
                }
            }
        }
        if unnumbered.is_empty() { Ok(()) } else { Err(FixupError::Unnumbered { names: unnumbered }) }
    }

    fn check_numbers(&mut self) -> Result<(), FixupError> {
        for group in self.groups.values_mut() {
            group.members.sort();
            group.members.dedup();
        }
        let users = self.users.iter().map(|(name, user)| ("user", user.uid, name));
        let groups = self.groups.iter().map(|(name, group)| ("group", group.gid, name));
        let mut seen = BTreeMap::new();
        for (kind, number, name) in users.chain(groups) {
            if let Some(first) = seen.insert((kind, number), name) {
                return Err(FixupError::SameNumber {
                    kind,
                    number,
                    first: first.clone(),
                    second: name.clone(),
                });
            }
        }
        Ok(())
    }

    fn users_by_number(&self) -> Vec<(&String, &Account)> {
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(_, user)| user.uid);
        users
    }

    fn groups_by_number(&self) -> Vec<(&String, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| group.gid);
        groups
    }

    fn passwd(&self) -> String {
        let line = |(name, user): (&String, &Account)| {
            format!("{name}:x:{}:{}:{}:{}:{}\n", user.uid, user.gid, user.description, user.home, user.shell)
        };
        self.users_by_number().into_iter().map(line).collect()
    }

    fn group(&self) -> String {
        let line = |(name, group): (&String, &Group)| {
            format!("{name}:x:{}:{}\n", group.gid, group.members.join(","))
        };
        self.groups_by_number().into_iter().map(line).collect()
    }

    /// No account has a password: `*` matches none, and other ways in (keys) stay open.
    fn shadow(&self, days: i64) -> String {
        self.users_by_number()
            .into_iter()
            .map(|(name, _)| format!("{name}:*:{days}:{SHADOW_POLICY}\n"))
            .collect()
    }

    fn gshadow(&self) -> String {
        let line = |(name, group): (&String, &Group)| format!("{name}:*::{}\n", group.members.join(","));
        self.groups_by_number().into_iter().map(line).collect()
    }

    /// Every account as sysusers.d lines.
    fn sysusers(&self) -> String {
        let mut text = "# Numbers that never change between releases.\n".to_owned();
        for (name, group) in self.groups_by_number() {
            text += &format!("g {name} {}\n", group.gid);
        }
        for (name, user) in self.users_by_number() {
            let (uid, gid) = (user.uid, user.gid);
            text += &format!("u {name} {uid}:{gid} \"{}\" {} {}\n", user.description, user.home, user.shell);
        }
        for (name, group) in self.groups_by_number() {
            for member in &group.members {
                text += &format!("m {member} {name}\n");
            }
        }
        text
    }
}

fn colon_lines<'a>(tree: &'a Tree, path: &'static str) -> Result<Vec<(usize, Vec<&'a str>)>, FixupError> {
    let bytes = tree.file(path).ok_or(FixupError::Missing { path, package: "base-passwd" })?;
    let text = std::str::from_utf8(bytes).map_err(|_| bad_line(path, 1))?;
    Ok(text.lines().enumerate().map(|(index, line)| (index + 1, line.split(':').collect())).collect())
}

fn bad_line(path: &'static str, line: usize) -> FixupError {
    FixupError::BadLine { path, line }
}
