//! `image.unit-presets`: what starts by itself, and that it has something to start.

use sm_image::erofs::Kind;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    usr::{Place, Usr},
};

const UNITS: &str = "/usr/lib/systemd/system/";
/// Directories whose links pull units in (systemd.unit(5)).
const PULLING: [&str; 3] = [".wants/", ".requires/", ".upholds/"];
/// Programs that make units at boot (systemd.generator(7)).
const GENERATORS: &str = "/usr/lib/systemd/system-generators/";
/// Folders below /usr/lib or the factory /etc whose files start programs.
const HOOKS: [&str; 7] = [
    "systemd/system-shutdown/",
    "systemd/system-sleep/",
    "systemd/system-preset/",
    "systemd/user-preset/",
    "/usr/share/dbus-1/system-services/",
    "networkd-dispatcher/",
    "binfmt.d/",
];
/// Rules of devices, and what in them starts something.
const RULES: &str = "udev/rules.d/";
const STARTING: [&str; 6] = ["RUN+=", "RUN=", "RUN{", "PROGRAM", "IMPORT{program}", "SYSTEMD_WANTS"];
/// Longest unit file.
const MAX_UNIT_BYTES: u64 = 1 << 20;

/// Links that pull units in are exactly the reviewed ones, lead to units, and every unit's program is there.
///
/// # Errors
/// When the image could not be looked into.
pub fn unit_presets(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let lists = &facts.lists.units;
    let units: Vec<(&str, &Kind)> =
        usr.entries().filter_map(|(path, inode)| Some((path.strip_prefix(UNITS)?, &inode.kind))).collect();
    let pulling = units.iter().filter(|(name, kind)| **kind != Kind::Directory && pulls(name));
    let enabled: Vec<String> = pulling.map(|(name, _)| (*name).to_owned()).collect();
    let mut findings = Findings::of(format!("{} links that enable", enabled.len()));
    findings.compare("enabled unit", &enabled, lists.enabled.keys());
    let masked = enabled.iter().filter(|name| is_masked(usr, name));
    findings.problems.extend(masked.map(|name| format!("enabled unit `{name}` is masked: it never starts")));
    let is_drop_in = |name: &&str| name.rsplit_once('/').is_some_and(|(folder, _)| folder.ends_with(".d"));
    let drop_ins = units.iter().filter(|(_, kind)| **kind != Kind::Directory).map(|(name, _)| *name);
    let drop_ins: Vec<String> = drop_ins.filter(is_drop_in).map(str::to_owned).collect();
    findings.compare("drop-in", &drop_ins, lists.drop_ins.keys());
    let generators = usr.entries().filter_map(|(path, _)| path.strip_prefix(GENERATORS)).map(str::to_owned);
    findings.compare("generator", &generators.collect::<Vec<_>>(), lists.generators.keys());
    let activating = activating(usr)?;
    findings.compare("starting programs,", &activating, lists.activating.keys());
    let stray = format!("{}/systemd/system/", usr.factory_etc());
    let outside =
        usr.entries().filter(|(path, inode)| path.starts_with(&stray) && inode.kind != Kind::Directory);
    findings
        .problems
        .extend(outside.map(|(path, _)| format!("`{path}` enables or changes a unit outside /usr/lib")));
    match usr.get(&format!("{UNITS}default.target")).map(|inode| &inode.kind) {
        Some(Kind::Symlink(target)) => {
            findings.expect_equal("`default.target`", target, &lists.default_target)
        }
        _ => findings.problems.push("`default.target` is no link".to_owned()),
    }
    for (name, kind) in &units {
        if **kind == Kind::File && name.ends_with(".service") && !lists.without_program.contains_key(*name) {
            findings.problems.extend(missing_programs(usr, name)?);
        }
    }
    Ok(findings)
}

/// What starts programs beside links that enable units and their generators: other names of units, other generators, hooks of
/// shutdown and sleep, presets, users' units, services of the bus, and rules of devices that run something.
fn activating(usr: &Usr) -> Result<Vec<String>, Stop> {
    let factory = format!("{}/", usr.factory_etc());
    let mut found = Vec::new();
    for (path, inode) in usr.entries().filter(|(_, inode)| inode.kind != Kind::Directory) {
        let below = path.strip_prefix("/usr/lib/").or_else(|| path.strip_prefix(&factory)).unwrap_or(path);
        let is_other_name = matches!(inode.kind, Kind::Symlink(_))
            && path.strip_prefix(UNITS).is_some_and(|name| !name.contains('/') && name != "default.target");
        let is_generator = below.contains("generators/") && !path.starts_with(GENERATORS);
        let is_user_unit =
            below.starts_with("systemd/user/") && PULLING.iter().any(|folder| below.contains(folder));
        let is_hook = HOOKS.iter().any(|folder| below.starts_with(folder));
        let is_rule = below.starts_with(RULES) && inode.kind == Kind::File && runs_something(usr, path)?;
        if is_other_name || is_generator || is_user_unit || is_hook || is_rule {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

/// Whether rules of devices start a program or a unit (udev(7)).
fn runs_something(usr: &Usr, path: &str) -> Result<bool, Stop> {
    let text = usr.text(path, MAX_UNIT_BYTES)?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    Ok(lines.into_iter().any(|line| STARTING.iter().any(|key| line.contains(key))))
}

/// Whether the unit that a link pulls in is itself a link to nothing (systemd.unit(5)).
fn is_masked(usr: &Usr, link: &str) -> bool {
    let unit = link.rsplit('/').next().unwrap_or(link);
    let target = usr.get(&format!("{UNITS}{unit}")).map(|inode| &inode.kind);
    matches!(target, Some(Kind::Symlink(target)) if target == "/dev/null")
}

fn pulls(name: &str) -> bool {
    PULLING.iter().any(|directory| name.contains(directory))
}

/// Programs that a unit starts and the image does not have. A `-` in front says that it may be absent (systemd.service(5)).
fn missing_programs(usr: &Usr, name: &str) -> Result<Vec<String>, Stop> {
    let text = usr.text(&format!("{UNITS}{name}"), MAX_UNIT_BYTES)?;
    let commands = text.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        key.starts_with("Exec").then_some(value)
    });
    let programs = commands.filter_map(|command| command.split_whitespace().next());
    let required = programs
        .map(|word| word.trim_start_matches(['@', ':', '+', '!', '|']))
        .filter(|word| !word.starts_with('-') && !word.contains(['%', '$']));
    let lost = required.filter(|program| !is_there(usr, program));
    Ok(lost.map(|program| format!("unit `{name}` starts `{program}`, which is not in the image")).collect())
}

/// A program by its path, or by its name in the directories systemd searches.
fn is_there(usr: &Usr, program: &str) -> bool {
    if program.starts_with('/') {
        return usr.resolve(program) != Place::Nowhere;
    }
    ["/usr/bin", "/usr/sbin"]
        .iter()
        .any(|directory| usr.resolve(&format!("{directory}/{program}")) != Place::Nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(unit_presets(&sample::facts())), "");
    }

    #[test]
    fn a_unit_that_starts_unreviewed_is_caught() {
        for path in [
            "/usr/lib/systemd/system/multi-user.target.wants/evil.service",
            "/usr/lib/systemd/system/a.service.upholds/b.service",
        ] {
            let mut facts = sample::facts();
            facts.usr = Ok(sample::with_entry(path, sample::link("../ssh.service")));
            assert!(problems(unit_presets(&facts)).contains("is not on the reviewed list"), "{path}");
        }
        let mut facts = sample::facts();
        let path = "/usr/share/boxcar/etc/systemd/system/multi-user.target.wants/x.service";
        facts.usr = Ok(sample::with_entry(path, sample::link("/usr/lib/systemd/system/ssh.service")));
        assert!(problems(unit_presets(&facts)).contains("outside /usr/lib"));
    }

    #[test]
    fn a_unit_that_no_longer_starts_is_caught() {
        let mut facts = sample::facts();
        let reason = sample::why("containers");
        facts.lists.units.enabled.insert("multi-user.target.wants/containerd.service".into(), reason);
        assert!(
            problems(unit_presets(&facts)).contains("containerd.service` is listed but not in the image")
        );
        facts.usr =
            Ok(sample::with_entry("/usr/lib/systemd/system/default.target", sample::link("rescue.target")));
        assert!(problems(unit_presets(&facts)).contains("`default.target` is `rescue.target`"));
    }

    #[test]
    fn a_unit_without_its_program_is_caught() {
        let with = |command: &str| {
            let mut facts = sample::facts();
            let text = format!("[Service]\nExecStart={command}\n");
            facts.usr = Ok(sample::replaced("/usr/lib/systemd/system/x.service", &text));
            problems(unit_presets(&facts))
        };
        for command in ["/usr/bin/absent --now", "@/usr/bin/absent absent", "absent"] {
            assert!(with(command).contains("unit `x.service` starts"), "{command}");
        }
        for command in ["-/usr/bin/absent", "/bin/su", "su", "/run/x", "%h/x", "!!/usr/bin/su"] {
            assert_eq!(with(command), "", "{command}");
        }
    }
}
