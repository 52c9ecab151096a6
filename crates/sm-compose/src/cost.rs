//! What packages cost: two releases that were composed alike, but for those packages.

use std::collections::{BTreeMap, BTreeSet};

use sm_model::{
    ArtifactKind, Lock, PackageName,
    request::{Cost, SizePair},
};

use crate::{
    release::{ReleaseDir, ReleaseError, contents::Listed},
    tree::Tree,
};

/// Where units of packages lie.
const UNITS: &str = "/usr/lib/systemd/system/";
/// What units are called that start something or listen.
const UNIT_KINDS: [&str; 4] = [".service", ".socket", ".timer", ".path"];
/// Settings of a socket unit that name what it listens on (systemd.socket(5)).
const LISTENS: [&str; 4] = ["ListenStream=", "ListenDatagram=", "ListenSequentialPacket=", "ListenFIFO="];

/// What the packages cost that `with` has and `without` has not. `brought` is what those packages unpack to.
///
/// # Errors
/// When an artifact that is compared is absent or not what its manifest says.
pub fn cost(without: &ReleaseDir, with: &ReleaseDir, brought: &Tree) -> Result<Cost, ReleaseError> {
    let packages = packages_brought(&without.lock()?, &with.lock()?);
    let contents = (without.contents()?, with.contents()?);
    let units = units(&contents.0, &contents.1);
    let sizes =
        |of: &dyn Fn(&ReleaseDir) -> u64| SizePair { without_bytes: of(without), with_bytes: of(with) };
    let payload = |release: &ReleaseDir| {
        release.manifest().artifact(ArtifactKind::Payload).map_or(0, |artifact| artifact.size_bytes)
    };
    Ok(Cost {
        board: with.manifest().board,
        without: without.manifest_sha256(),
        with: with.manifest_sha256(),
        usr: sizes(&|release| release.manifest().usr_size_bytes),
        payload: sizes(&payload),
        packages,
        setuid: setuid(&contents.0, &contents.1),
        listeners: listeners(&units, brought),
        units,
    })
}

/// Names of the packages that only the second set has.
pub fn packages_brought(without: &Lock, with: &Lock) -> Vec<PackageName> {
    let before: BTreeSet<&PackageName> = without.packages.iter().map(|package| &package.name).collect();
    let after = with.packages.iter().map(|package| &package.name);
    after.filter(|name| !before.contains(name)).cloned().collect()
}

type Contents = BTreeMap<String, Listed>;

/// Files that gained a set-user-ID or set-group-ID bit.
fn setuid(without: &Contents, with: &Contents) -> Vec<String> {
    let is_set = |listed: &Listed| listed.mode.starts_with('-') && listed.mode.contains(['s', 'S']);
    let gained =
        with.iter().filter(|(path, listed)| is_set(listed) && !without.get(*path).is_some_and(is_set));
    gained.map(|(path, _)| path.clone()).collect()
}

fn units(without: &Contents, with: &Contents) -> Vec<String> {
    let is_unit = |path: &&String| {
        path.starts_with(UNITS)
            && UNIT_KINDS.iter().any(|kind| path.ends_with(kind))
            && !without.contains_key(*path)
    };
    with.keys().filter(is_unit).cloned().collect()
}

/// What socket units listen on, as they spell it. A service that binds by itself is seen only by running it: the image's own
/// tests compare sockets with a reviewed list.
fn listeners(units: &[String], brought: &Tree) -> Vec<String> {
    let mut found = BTreeSet::new();
    for unit in units.iter().filter(|path| path.ends_with(".socket")) {
        let bytes = brought.file(unit).map(|blob| blob.to_vec()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let name = unit.trim_start_matches(UNITS);
        for line in text.lines().map(str::trim) {
            let address = LISTENS.iter().find_map(|setting| line.strip_prefix(setting));
            found.extend(
                address.filter(|address| !address.is_empty()).map(|address| format!("{name}: {address}")),
            );
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        release::tests::{Fixture, locked},
        tree::{Entry, Origin},
    };

    #[test]
    fn a_package_costs_what_it_brings() {
        let without = Fixture::new("4893.2.0");
        let mut with = Fixture::new("4893.2.0");
        with.lock.packages.push(locked("telnetd", "1-1", "telnetd"));
        with.lock.packages.push(locked("zz-lib", "1-1", "telnetd"));
        let mut brought = Tree::default();
        let socket = "[Socket]\nListenStream=23\n ListenDatagram=[::]:23\nListenStream=\nAccept=yes\n";
        for (path, text) in [
            ("/usr/lib/systemd/system/telnet.socket", socket),
            ("/usr/lib/systemd/system/telnet@.service", "[Service]\n"),
            ("/usr/lib/systemd/system/telnet.target", "[Unit]\n"),
            ("/usr/bin/telnetd", "binary"),
        ] {
            let mut entry = Entry::file(text, Origin::Recipe);
            entry.mode.mode = if path == "/usr/bin/telnetd" { 0o4755 } else { 0o644 };
            with.image.tree.put(path, entry.clone()).unwrap();
            brought.put(path, entry).unwrap();
        }
        let open = |one: &Fixture| ReleaseDir::open(&one.publish().unwrap().directory).unwrap();
        let [without, with] = [&without, &with].map(open);
        let cost = cost(&without, &with, &brought).unwrap();
        let names: Vec<&str> = cost.packages.iter().map(PackageName::as_str).collect();
        assert_eq!(names, ["telnetd", "zz-lib"]);
        assert_eq!(cost.setuid, ["/usr/bin/telnetd"]);
        assert_eq!(
            cost.units,
            ["/usr/lib/systemd/system/telnet.socket", "/usr/lib/systemd/system/telnet@.service"]
        );
        assert_eq!(cost.listeners, ["telnet.socket: 23", "telnet.socket: [::]:23"]);
        assert!(cost.payload.with_bytes > 0 && cost.usr.without_bytes > 0);
    }
}
