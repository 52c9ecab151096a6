//! `image.links-libs-shebangs`: whatever a file names that must be there to run, is there.

use sm_image::erofs::Kind;

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
/// Kernel modules are linked into the kernel, not by the loader.
const MODULES: &str = "/usr/lib/modules/";

/// No dead link, no program without its loader or libraries, no script without its interpreter.
///
/// # Errors
/// When the image could not be looked into.
pub fn links_libs_shebangs(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let libraries = library_directories(facts.manifest.board.0.triplet());
    let (mut n_links, mut n_programs, mut n_scripts) = (0, 0, 0);
    let mut problems = Vec::new();
    for (path, inode) in usr.entries() {
        match &inode.kind {
            Kind::Symlink(target) => {
                n_links += 1;
                if !usr.leads_somewhere(&usr.appears_at(path)) {
                    problems.push(format!("link `{path}` leads nowhere: `{target}`"));
                }
            }
            Kind::File if !path.starts_with(MODULES) && inode.size_bytes > 3 => {
                let head = usr.bytes(path, SHEBANG_BYTES)?;
                if elf::is_elf(&head) {
                    n_programs += 1;
                    problems.extend(missing_libraries(usr, path, &libraries)?);
                } else if inode.mode & 0o111 != 0 && head.starts_with(b"#!") {
                    n_scripts += 1;
                    problems.extend(missing_interpreter(usr, path, &head));
                }
            }
            _ => {}
        }
    }
    Ok(Findings::with(
        format!("{n_links} links, {n_programs} programs and libraries, {n_scripts} scripts"),
        problems,
    ))
}

/// Where the loader of Debian looks, with what `ld.so.conf.d` adds (ld.so(8)).
fn library_directories(triplet: &str) -> Vec<String> {
    vec![format!("/usr/lib/{triplet}"), "/usr/lib".to_owned(), "/usr/lib64".to_owned()]
}

fn missing_libraries(usr: &Usr, path: &str, directories: &[String]) -> Result<Vec<String>, Stop> {
    let bytes = usr.bytes(path, MAX_PROGRAM_BYTES)?;
    let Needs { interpreter, libraries, search } = match elf::needs(&bytes) {
        Ok(Some(needs)) => needs,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![format!("`{path}` is damaged: {error}")]),
    };
    let origin = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let own =
        search.iter().map(|directory| directory.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
    // A library beside another is found by the search path of whoever loads both.
    let places: Vec<String> = own.chain([origin.to_owned()]).chain(directories.iter().cloned()).collect();
    let is_there = |library: &String| {
        places.iter().any(|place| matches!(usr.resolve(&format!("{place}/{library}")), Place::Image(_)))
    };
    let loader = interpreter.filter(|loader| !matches!(usr.resolve(loader), Place::Image(_)));
    let lost = libraries.iter().filter(|library| !is_there(library));
    Ok(loader
        .iter()
        .map(|loader| format!("`{path}` needs the loader `{loader}`, which is not in the image"))
        .chain(lost.map(|library| format!("`{path}` needs `{library}`, which is not in the image")))
        .collect())
}

/// The interpreter of a script, or the program that env(1) would start, where the image has neither.
fn missing_interpreter(usr: &Usr, path: &str, head: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(head.split(|&byte| byte == b'\n').next()?).into_owned();
    let mut words = line.trim_start_matches("#!").split_whitespace();
    let interpreter = words.next().unwrap_or_default();
    let is_there =
        |program: &str| program.starts_with('/') && matches!(usr.resolve(program), Place::Image(_));
    let found = is_there(interpreter)
        && (!interpreter.ends_with("/env")
            || words.next().is_none_or(|name| {
                ["/usr/bin", "/usr/sbin"].iter().any(|dir| is_there(&format!("{dir}/{name}")))
            }));
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
    fn a_script_without_its_interpreter_is_caught() {
        for line in ["#!/usr/bin/perl -w", "#! /usr/bin/env python3", "#!/usr/bin/zsh", "#!"] {
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
