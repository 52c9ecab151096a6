//! Units of systemd: what `systemctl enable`, `mask` and `set-default` would have linked, written below /usr.
//!
//! Links below /usr belong to the release: they change with it and cannot be lost by a host's own /etc.

use std::collections::BTreeSet;

use super::FixupError;
use crate::{
    recipe::Units,
    tree::{Entry, Node, Origin, Tree},
};

const UNIT_DIR: &str = "/usr/lib/systemd/system";

/// The `[Install]` section of a unit file (systemd.unit(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Install {
    wanted_by: Vec<String>,
    required_by: Vec<String>,
    upheld_by: Vec<String>,
    alias: Vec<String>,
    also: Vec<String>,
    default_instance: Option<String>,
}

/// Enables, masks and links what the recipe says.
pub(super) fn apply(tree: &mut Tree, units: &Units) -> Result<(), FixupError> {
    let mut enabled = BTreeSet::new();
    for unit in &units.enabled {
        enable(tree, unit, &mut enabled)?;
    }
    for unit in &units.health {
        find(tree, unit)?;
        link(tree, &format!("boot-complete.target.requires/{unit}"), &format!("../{unit}"))?;
    }
    find(tree, &units.default_target)?;
    link(tree, "default.target", &units.default_target)?;
    for unit in &units.masked {
        link(tree, unit, "/dev/null")?;
    }
    Ok(())
}

fn enable(tree: &mut Tree, unit: &str, enabled: &mut BTreeSet<String>) -> Result<(), FixupError> {
    if !enabled.insert(unit.to_owned()) {
        return Ok(());
    }
    let file = find(tree, unit)?;
    let text =
        tree.file(&format!("{UNIT_DIR}/{file}")).map(|blob| String::from_utf8_lossy(blob).into_owned());
    let install = install_section(&text.unwrap_or_default());
    if install == Install::default() {
        return Err(FixupError::NothingToInstall { unit: unit.to_owned() });
    }
    let name = instance_name(unit, &install)?;
    for (targets, kind) in
        [(&install.wanted_by, "wants"), (&install.required_by, "requires"), (&install.upheld_by, "upholds")]
    {
        for target in targets {
            link(tree, &format!("{}.{kind}/{name}", plain(unit, target)?), &format!("../{file}"))?;
        }
    }
    for alias in &install.alias {
        link(tree, plain(unit, alias)?, &file)?;
    }
    // What the recipe dropped cannot be enabled along.
    for also in install.also.iter().filter(|also| find(tree, also).is_ok()).cloned().collect::<Vec<_>>() {
        enable(tree, &also, enabled)?;
    }
    Ok(())
}

/// The unit's name as a target pulls it in: a template without an instance takes its default.
fn instance_name(unit: &str, install: &Install) -> Result<String, FixupError> {
    match (unit.split_once("@."), &install.default_instance) {
        (None, _) => Ok(unit.to_owned()),
        (Some((prefix, suffix)), Some(instance)) => Ok(format!("{prefix}@{instance}.{suffix}")),
        (Some(_), None) => Err(FixupError::NoInstance { unit: unit.to_owned() }),
    }
}

/// Names with specifiers (`%i`) are not expanded: no unit that an image enables has any.
fn plain<'a>(unit: &str, name: &'a str) -> Result<&'a str, FixupError> {
    if name.contains(['%', '/']) {
        return Err(FixupError::InstallName { unit: unit.to_owned(), name: name.to_owned() });
    }
    Ok(name)
}

/// The name of the file that defines a unit: for `a@b.service` that is `a@.service`.
fn find(tree: &Tree, unit: &str) -> Result<String, FixupError> {
    let template = unit.split_once('@').and_then(|(prefix, instance)| {
        instance.rsplit_once('.').map(|(_, suffix)| format!("{prefix}@.{suffix}"))
    });
    [Some(unit.to_owned()), template]
        .into_iter()
        .flatten()
        .find(|file| tree.get(&format!("{UNIT_DIR}/{file}")).is_some())
        .ok_or_else(|| FixupError::NoUnit { unit: unit.to_owned() })
}

fn link(tree: &mut Tree, name: &str, target: &str) -> Result<(), FixupError> {
    let path = format!("{UNIT_DIR}/{name}");
    let is_same = |entry: &Entry| matches!(&entry.node, Node::Symlink(old) if old == target);
    if !tree.get(&path).is_some_and(is_same) {
        tree.put(&path, Entry::symlink(target, Origin::Composed))?;
    }
    Ok(())
}

fn install_section(text: &str) -> Install {
    let mut install = Install::default();
    let mut inside = false;
    for line in joined_lines(text) {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[Install]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            install.assign(key.trim(), value.trim());
        }
    }
    install
}

impl Install {
    fn assign(&mut self, key: &str, value: &str) {
        let list = match key {
            "WantedBy" => &mut self.wanted_by,
            "RequiredBy" => &mut self.required_by,
            "UpheldBy" => &mut self.upheld_by,
            "Alias" => &mut self.alias,
            "Also" => &mut self.also,
            "DefaultInstance" => return self.default_instance = Some(value.to_owned()),
            _ => return,
        };
        if value.is_empty() {
            list.clear();
        }
        list.extend(value.split_whitespace().map(str::to_owned));
    }
}

/// Lines without comments, with those that end in a backslash joined to the next (systemd.syntax(7)).
fn joined_lines(text: &str) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut continues = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match joined.last_mut().filter(|_| continues) {
            Some(last) => *last = format!("{last} {part}"),
            None => joined.push(part.to_owned()),
        }
        continues = goes_on;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(units: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (name, text) in units {
            tree.put(&format!("{UNIT_DIR}/{name}"), Entry::file(*text, Origin::Recipe)).unwrap();
        }
        tree
    }

    fn applied(units: &[(&str, &str)], enabled: &[&str]) -> Result<Tree, FixupError> {
        let mut tree = tree_of(units);
        tree.put(&format!("{UNIT_DIR}/multi-user.target"), Entry::file("", Origin::Recipe))?;
        let units = Units {
            default_target: "multi-user.target".to_owned(),
            enabled: enabled.iter().map(|&unit| unit.to_owned()).collect(),
            masked: vec!["noise.service".to_owned()],
            health: Vec::new(),
        };
        apply(&mut tree, &units)?;
        Ok(tree)
    }

    fn links(tree: &Tree) -> Vec<String> {
        let link = |(path, entry): (&str, &Entry)| match &entry.node {
            Node::Symlink(target) => Some(format!("{} -> {target}", path.strip_prefix(UNIT_DIR).unwrap())),
            _ => None,
        };
        tree.entries().filter_map(link).collect()
    }

    #[test]
    fn enabling_follows_every_key_of_the_install_section() {
        let broker = "[Unit]\nWantedBy=not.this\n[Install]\n# WantedBy=nor.this\nWantedBy=a.target \\\n  b.target\n\
                      RequiredBy=c.target\nUpheldBy=d.target\nAlias=dbus.service\nAlso=broker.socket\n";
        let tree = applied(
            &[
                ("broker.service", broker),
                ("broker.socket", "[Install]\nWantedBy=sockets.target\n"),
                ("noise.service", ""),
            ],
            &["broker.service", "broker.socket"],
        );
        assert_eq!(
            links(&tree.unwrap()),
            [
                "/a.target.wants/broker.service -> ../broker.service",
                "/b.target.wants/broker.service -> ../broker.service",
                "/c.target.requires/broker.service -> ../broker.service",
                "/d.target.upholds/broker.service -> ../broker.service",
                "/dbus.service -> broker.service",
                "/default.target -> multi-user.target",
                "/noise.service -> /dev/null",
                "/sockets.target.wants/broker.socket -> ../broker.socket",
            ]
        );
    }

    #[test]
    fn an_empty_value_takes_back_what_was_said_before() {
        assert_eq!(
            install_section("[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target").wanted_by,
            ["b.target"]
        );
    }

    #[test]
    fn templates_take_the_given_instance_or_their_default() {
        let getty = ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n");
        let tree = applied(&[getty], &["getty@.service", "getty@ttyS0.service"]).unwrap();
        assert_eq!(
            links(&tree)[1..3],
            [
                "/getty.target.wants/getty@tty1.service -> ../getty@.service",
                "/getty.target.wants/getty@ttyS0.service -> ../getty@.service",
            ]
        );
        let no_default = applied(&[("x@.service", "[Install]\nWantedBy=a.target")], &["x@.service"]);
        assert!(matches!(no_default, Err(FixupError::NoInstance { .. })));
    }

    #[test]
    fn units_that_are_missing_static_or_dangerous_are_named() {
        let missing = applied(&[], &["absent.service"]).unwrap_err();
        assert_eq!(missing.to_string(), "the image has no unit `absent.service`");
        let fixed = applied(&[("static.service", "[Service]\n")], &["static.service"]);
        assert!(matches!(fixed, Err(FixupError::NothingToInstall { .. })));
        let escape = applied(&[("evil.service", "[Install]\nAlias=../../../../etc/x\n")], &["evil.service"]);
        assert!(matches!(escape, Err(FixupError::InstallName { .. })));
    }

    #[test]
    fn units_that_name_each_other_end() {
        let tree = applied(
            &[("a.service", "[Install]\nAlso=b.service"), ("b.service", "[Install]\nAlso=a.service")],
            &["a.service"],
        );
        assert_eq!(links(&tree.unwrap()).len(), 2);
    }
}
