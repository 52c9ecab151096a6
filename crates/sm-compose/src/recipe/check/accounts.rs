//! Judges `[users]` and `[groups]`: the static table that keeps numbers the same in every release.

use std::collections::BTreeMap;

use super::Checker;
use crate::recipe::{
    place::{At, Place},
    raw::{RawGroup, RawUser, Text},
    section::Named,
    types::{Group, User},
};

/// The static users and groups.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) users: BTreeMap<String, User>,
    pub(super) groups: BTreeMap<String, Group>,
}

/// Numbers that no account may have: those of `nobody` and the kernel's "no such user" marks.
const RESERVED_IDS: std::ops::RangeInclusive<u32> = 65_534..=65_535;

impl Checker<'_> {
    pub(super) fn accounts(&mut self, users: &Named<RawUser>, groups: &Named<RawGroup>) -> Accounts {
        let mut accounts = Accounts::default();
        self.groups(groups, &mut accounts);
        self.users(users, &mut accounts);
        for (_, group) in &groups.0 {
            for member in &group.members {
                if member.value != "root" && !accounts.users.contains_key(&member.value) {
                    self.unknown_account("user", member, "users");
                }
            }
        }
        accounts
    }

    fn groups(&mut self, raw: &Named<RawGroup>, accounts: &mut Accounts) {
        let mut taken = BTreeMap::new();
        for (name, group) in &raw.0 {
            self.account_name(name);
            let gid = self.account_id("group", name, &group.gid, "gid", &mut taken);
            let members = group.members.iter().map(|member| member.value.clone()).collect();
            accounts.groups.insert(name.value.clone(), Group { gid, members });
        }
    }

    fn users(&mut self, raw: &Named<RawUser>, accounts: &mut Accounts) {
        let mut taken = BTreeMap::new();
        for (name, user) in &raw.0 {
            self.account_name(name);
            let uid = self.account_id("user", name, &user.uid, "uid", &mut taken);
            let group = user.group.as_ref().unwrap_or(name);
            let gid = self.gid_of(group, accounts);
            let description = self.passwd_field(&user.description, "");
            let home = self.passwd_path(&user.home, "/");
            let shell = self.passwd_path(&user.shell, "/usr/sbin/nologin");
            accounts.users.insert(name.value.clone(), User { uid, gid, description, home, shell });
        }
    }

    fn account_name(&mut self, name: &At<String>) {
        let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        let starts_well = name.value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !starts_well || !name.value.bytes().all(clean) || name.value.len() > 31 {
            self.problems
                .note(name.place, format!("`{}` cannot be an account's name", name.value.escape_debug()))
                .expected("1 to 31 lower-case letters, digits, `_` or `-`, starting with a letter or `_`");
        }
        if name.value == "root" {
            self.problems
                .note(name.place, "`root` is declared by the recipe")
                .hint("remove it: `root` comes with the base packages");
        }
    }

    fn account_id<'n>(
        &mut self,
        kind: &str,
        name: &'n At<String>,
        raw: &Option<At<u32>>,
        key: &str,
        taken: &mut BTreeMap<u32, &'n str>,
    ) -> u32 {
        let Some(id) = raw else {
            self.problems
                .note(name.place, format!("{kind} `{}` lacks `{key}`", name.value))
                .expected("a number: numbers given at build time would shift from release to release");
            return 0;
        };
        if id.value == 0 || id.value == u32::MAX || RESERVED_IDS.contains(&id.value) {
            self.problems
                .note(id.place, format!("{key} {} is reserved", id.value))
                .expected("another number");
        } else if let Some(other) = taken.insert(id.value, &name.value) {
            self.problems
                .note(
                    id.place,
                    format!("{key} {} of `{}` already belongs to `{other}`", id.value, name.value),
                )
                .hint("give each its own number");
        }
        id.value
    }

    fn passwd_field(&mut self, raw: &Text, default: &str) -> String {
        let Some(text) = raw else { return default.to_owned() };
        if text.value.contains(|c: char| c == ':' || c.is_control()) {
            self.problems
                .note(text.place, "a colon or control character would break the passwd file")
                .expected("a text without `:`");
        }
        text.value.clone()
    }

    fn passwd_path(&mut self, raw: &Text, default: &str) -> String {
        let text = self.passwd_field(raw, default);
        if let Some(raw) = raw
            && !text.starts_with('/')
        {
            self.problems
                .note(raw.place, format!("`{}` is not absolute", text.escape_debug()))
                .expected("a path starting with `/`");
        }
        text
    }

    fn gid_of(&mut self, name: &At<String>, accounts: &Accounts) -> u32 {
        if name.value == "root" {
            return 0;
        }
        let group = accounts.groups.get(&name.value);
        if group.is_none() {
            self.unknown_account("group", name, "groups");
        }
        group.map_or(0, |group| group.gid)
    }

    fn unknown_account(&mut self, kind: &str, name: &At<String>, table: &str) {
        self.problems
            .note(name.place, format!("{kind} `{}` is not declared", name.value.escape_debug()))
            .expected(format!("`root` or a {kind} of `[{table}]`"))
            .hint(format!("declare it with its number in `[{table}]`"));
    }

    /// Numbers of the owner that `user` and `group` name; root's where they name none.
    pub(super) fn owner(&mut self, user: &Text, group: &Text, accounts: &Accounts) -> (u32, u32) {
        let uid = user.as_ref().map_or(0, |name| self.uid_of(name, accounts));
        let gid = group.as_ref().map_or(0, |name| self.gid_of(name, accounts));
        (uid, gid)
    }

    fn uid_of(&mut self, name: &At<String>, accounts: &Accounts) -> u32 {
        if name.value == "root" {
            return 0;
        }
        let user = accounts.users.get(&name.value);
        if user.is_none() {
            self.unknown_account("user", name, "users");
        }
        user.map_or(0, |user| user.uid)
    }

    /// Permission bits written as octal text.
    pub(super) fn mode_bits(&mut self, raw: &Text, default: u32) -> u32 {
        let Some(text) = raw else { return default };
        let octal = u32::from_str_radix(&text.value, 8).ok().filter(|_| !text.value.starts_with('+'));
        octal.filter(|bits| *bits <= 0o7777).unwrap_or_else(|| {
            self.bad_mode(&text.value, text.place);
            default
        })
    }

    fn bad_mode(&mut self, text: &str, place: Place) {
        self.problems
            .note(place, format!("`{}` are no permission bits", text.escape_debug()))
            .expected("octal digits in quotes, from `\"0000\"` to `\"7777\"`");
    }
}
