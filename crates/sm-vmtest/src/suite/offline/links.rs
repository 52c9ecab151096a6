//! `image.links-libs-shebangs`: whatever a file names that must be there to run, is there.

use sm_image::erofs::Kind;
use sm_model::Arch;

use crate::suite::{
    elf::{self, Needs},
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    usr::{Place, Usr},
};

/// Largest program looked into.
const MAX_PROGRAM_BYTES: u64 = 512 << 20;
/// Longest first line of a script (`BINPRM_BUF_SIZE` of Linux).
const SHEBANG_BYTES: u64 = 256;
/// What a link that hides something points to.
const NOTHING: &str = "/dev/null";
/// Kernel modules are linked into the kernel, not by the loader.
const MODULES: &str = "/usr/lib/modules/";

/// No dead link, no program without its loader or libraries, no script without its interpreter.
///
/// # Errors
/// When the image could not be looked into.
pub fn links_libs_shebangs(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let libraries = library_directories(facts.manifest.board.0.triplet());
    let machine = match facts.manifest.board.0 {
        Arch::Amd64 => object::elf::EM_X86_64.0,
        Arch::Arm64 => object::elf::EM_AARCH64.0,
    };
    let (mut n_links, mut n_programs, mut n_scripts) = (0, 0, 0);
    let (mut problems, mut out) = (Vec::new(), Vec::new());
    for (path, inode) in usr.entries() {
        match &inode.kind {
            Kind::Symlink(target) => {
                n_links += 1;
                match usr.resolve(&usr.appears_at(path)) {
                    Place::Nowhere => problems.push(format!("link `{path}` leads nowhere: `{target}`")),
                    Place::Runtime if leads_out(usr, path, target) => out.push(format!("{path} -> {target}")),
                    Place::Runtime | Place::Image(_) => {}
                }
            }
            Kind::File if inode.size_bytes == 0 && inode.mode & 0o111 != 0 => {
                problems.push(format!("`{path}` is a program, and empty"));
            }
            Kind::File if !path.starts_with(MODULES) && inode.size_bytes > 3 => {
                let head = usr.bytes(path, SHEBANG_BYTES)?;
                if elf::is_elf(&head) {
                    n_programs += 1;
                    problems.extend(missing_libraries(usr, path, &libraries, machine)?);
                } else if inode.mode & 0o111 != 0 && head.starts_with(b"#!") {
                    n_scripts += 1;
                    problems.extend(missing_interpreter(usr, path, &head));
                }
            }
            _ => {}
        }
    }
    let seen = format!("{n_links} links, {n_programs} programs and libraries, {n_scripts} scripts");
    let mut findings = Findings::with(seen, problems);
    findings.compare("link to where a host writes", &out, facts.lists.permissions.links_out.keys());
    Ok(findings)
}

/// Whether it is this link that leads out, and not another one that it leads to. One to nothing hides something, and is no place.
fn leads_out(usr: &Usr, path: &str, target: &str) -> bool {
    let place = usr.appears_at(path);
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    let next = if target.starts_with('/') { target.to_owned() } else { format!("{folder}/{target}") };
    let (folder, name) = next.rsplit_once('/').unwrap_or(("", &next));
    let is_next_there = match usr.resolve(folder) {
        Place::Image(folder) => usr.get(&format!("{folder}/{name}")).is_some(),
        Place::Runtime | Place::Nowhere => false,
    };
    target != NOTHING && !is_next_there
}

/// Where the loader of Debian looks, with what `ld.so.conf.d` adds (ld.so(8)).
fn library_directories(triplet: &str) -> Vec<String> {
    vec![format!("/usr/lib/{triplet}"), "/usr/lib".to_owned(), "/usr/lib64".to_owned()]
}

fn missing_libraries(
    usr: &Usr,
    path: &str,
    directories: &[String],
    machine: u16,
) -> Result<Vec<String>, Stop> {
    let bytes = usr.bytes(path, MAX_PROGRAM_BYTES)?;
    let Needs { interpreter, libraries, search, machine: own_machine } = match elf::needs(&bytes) {
        Ok(Some(needs)) => needs,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![format!("`{path}` is damaged: {error}")]),
    };
    let foreign = (own_machine != machine)
        .then(|| format!("`{path}` is for machine {own_machine} of ELF, expected {machine}"));
    // Whoever may write there decides what the program does.
    let open = search.iter().filter(|directory| !is_fixed(directory)).map(|directory| {
        format!("`{path}` looks for libraries in `{directory}`, expected a place below /usr or `$ORIGIN`")
    });
    let open: Vec<String> = open.chain(foreign).collect();
    let origin = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let own =
        search.iter().map(|directory| directory.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
    // A library beside another is found by the search path of whoever loads both.
    let places: Vec<String> = own.chain([origin.to_owned()]).chain(directories.iter().cloned()).collect();
    let is_there = |library: &String| {
        places.iter().any(|place| matches!(usr.resolve(&format!("{place}/{library}")), Place::Image(_)))
    };
    let loader = interpreter.filter(|loader| !is_program(usr, loader));
    let lost = libraries.iter().filter(|library| !is_there(library));
    Ok(loader
        .iter()
        .map(|loader| format!("`{path}` needs the loader `{loader}`, which is not in the image"))
        .chain(lost.map(|library| format!("`{path}` needs `{library}`, which is not in the image")))
        .chain(open)
        .collect())
}

/// Whether a directory of a program's own search path (ld.so(8)) is the image's.
fn is_fixed(directory: &str) -> bool {
    let own = ["$ORIGIN", "${ORIGIN}", "/usr", "/lib", "/lib64"];
    own.iter().any(|start| {
        directory.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether a path leads to a file of the image that can be run.
fn is_program(usr: &Usr, path: &str) -> bool {
    let Place::Image(stored) = usr.resolve(path) else { return false };
    path.starts_with('/')
        && usr.get(&stored).is_some_and(|inode| inode.kind == Kind::File && inode.mode & 0o111 != 0)
}

/// The interpreter of a script, or the program that env(1) would start, where the image has neither.
fn missing_interpreter(usr: &Usr, path: &str, head: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(head.split(|&byte| byte == b'\n').next()?).into_owned();
    let mut words = line.trim_start_matches("#!").split_whitespace();
    let interpreter = words.next().unwrap_or_default();
    let is_there = |program: &str| is_program(usr, program);
    // The kernel takes a carriage return for a part of the name.
    let found = !line.ends_with('\r')
        && is_there(interpreter)
        && (!interpreter.ends_with("/env")
            || words.next().is_none_or(|name| {
                ["/usr/bin", "/usr/sbin"].iter().any(|dir| is_there(&format!("{dir}/{name}")))
            }));
    let line = line.escape_debug();
    (!found).then(|| format!("`{path}` needs the interpreter of `{line}`, which is not in the image"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with_text(path: &str, text: &[u8]) -> String {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced(path, text));
        problems(links_libs_shebangs(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(links_libs_shebangs(&sample::facts())), "");
    }

    #[test]
    fn a_dead_link_is_caught() {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::with_entry("/usr/share/boxcar/etc/modules.conf", sample::link("../modules")));
        assert_eq!(
            problems(links_libs_shebangs(&facts)),
            "link `/usr/share/boxcar/etc/modules.conf` leads nowhere: `../modules`"
        );
    }

    #[test]
    fn a_link_to_where_a_host_writes_is_caught_unless_reviewed() {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::with_entry("/usr/lib/plugins", sample::link("/tmp/plugins")));
        let found = problems(links_libs_shebangs(&facts));
        assert_eq!(
            found,
            "link to where a host writes `/usr/lib/plugins -> /tmp/plugins` is not on the reviewed list"
        );
        facts.usr = Ok(sample::with_entry("/usr/lib/hidden", sample::link("/dev/null")));
        assert_eq!(problems(links_libs_shebangs(&facts)), "");
    }

    #[test]
    fn libraries_are_looked_for_in_the_image_alone() {
        for open in ["/tmp/lib", "/home/builder/lib", "lib", "", "/usrlib", "/var/lib"] {
            assert!(!is_fixed(open), "{open}");
        }
        for fixed in ["$ORIGIN", "$ORIGIN/../lib", "${ORIGIN}", "/usr/lib/systemd", "/lib"] {
            assert!(is_fixed(fixed), "{fixed}");
        }
    }

    #[test]
    fn programs_of_another_processor_and_empty_ones_are_caught() {
        let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // `e_machine` of the ELF header: another one than this test's.
        program[18] ^= 1;
        assert!(with_text("/usr/bin/program", &program).contains("is for machine"));
        assert_eq!(with_text("/usr/bin/program", b""), "`/usr/bin/program` is a program, and empty");
    }

    #[test]
    fn a_script_without_its_interpreter_is_caught() {
        for line in [
            "#!/usr/bin/perl -w",
            "#! /usr/bin/env python3",
            "#!/usr/bin/zsh",
            "#!",
            "#!/bin/sh\r",
            "#!/usr/bin",
            "#!sh",
        ] {
            let found = with_text("/usr/bin/script", format!("{line}\nexit\n").as_bytes());
            assert!(found.contains("/usr/bin/script") && found.contains("interpreter"), "{line}: {found}");
        }
        assert_eq!(with_text("/usr/bin/script", b"#! /usr/bin/env bash\n"), "");
        assert_eq!(with_text("/usr/bin/script", b"#!/bin/sh -e\n"), "");
    }

    #[test]
    fn a_program_without_its_libraries_or_damaged_is_caught() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let found = with_text("/usr/bin/program", &program);
        assert!(found.contains("needs `libc.so.6`") && found.contains("needs the loader"), "{found}");
        assert!(with_text("/usr/bin/program", &program[..200]).contains("is damaged"));
    }
}
