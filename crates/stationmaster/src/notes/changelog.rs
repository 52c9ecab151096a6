//! The changelog on the disk: reading it with limits, beginning fragments, telling what is wrong.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use sm_host::{
    clock::{Clock, SystemClock},
    files::{self, FileError},
};
use sm_model::{Date, FragmentId, exit};
use sm_release::notes::{
    fragment::MAX_FRAGMENT_BYTES,
    lint::{Changelog, File, Finding},
};

use super::{Args, New};
use crate::context::{Context, Outcome};

/// Most files of a changelog: stops a folder that is none.
const MAX_FILES: usize = 20_000;

/// A changelog that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Fragments have faults.
    #[error("the changelog has {n} faults, the first: {first}")]
    Faulty {
        /// How many.
        n: usize,
        /// The first.
        first: Finding,
    },
    /// More files than any changelog has.
    #[error("`{}` has more than {MAX_FILES} files: expected a changelog", .0.display())]
    TooManyFiles(PathBuf),
    /// The fragment is there.
    #[error("`{0}` exists: choose another name, or edit it")]
    Exists(FragmentId),
}

impl Unusable {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Unusable::Faulty { .. } => Some("`stationmaster notes lint` tells all of them".to_owned()),
            Unusable::TooManyFiles(_) | Unusable::Exists(_) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        exit::INVALID_INPUT
    }
}

/// The folder beside the recipe.
pub(super) fn folder(args: &Args) -> PathBuf {
    args.recipe.with_file_name("changelog")
}

pub(super) fn path_of(args: &Args, id: &FragmentId) -> PathBuf {
    folder(args).join(id.to_string())
}

pub(super) fn today() -> Date {
    Date::of(SystemClock.now())
}

/// Everything below the folder; a project without a changelog has an empty one.
pub(super) fn read(args: &Args) -> anyhow::Result<Changelog> {
    let root = folder(args);
    let mut found = Vec::new();
    if root.exists() {
        collect(&root, &root, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sm_release::notes::lint(&found, today()))
}

/// The changelog, if nothing is wrong with it.
pub(super) fn read_sound(args: &Args) -> anyhow::Result<Changelog> {
    let changelog = read(args)?;
    match changelog.findings.first() {
        Some(first) => Err(Unusable::Faulty { n: changelog.findings.len(), first: first.clone() }.into()),
        None => Ok(changelog),
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) -> anyhow::Result<()> {
    let failed = || FileError::io("list", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed())?);
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if kind.is_dir() && folder == root {
            collect(root, &path, found)?;
            continue;
        }
        // Links, folders within folders and devices have no bytes of their own: their names are what is told about.
        let limit = MAX_FRAGMENT_BYTES as u64 + 1;
        let bytes = if kind.is_file() { read_start(&path, limit)? } else { Vec::new() };
        let path = if kind.is_file() { relative } else { format!("{relative} (no file)") };
        found.push(File { path, bytes });
        if found.len() > MAX_FILES {
            return Err(Unusable::TooManyFiles(root.to_owned()).into());
        }
    }
    Ok(())
}

/// The first bytes of a file, enough to tell that it is too long.
fn read_start(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    use std::io::Read as _;
    let file = fs::File::open(path).map_err(FileError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    Ok(bytes)
}

pub(super) fn lint(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let changelog = read(args)?;
    let outcome = if changelog.findings.is_empty() { Outcome::Done } else { Outcome::Negative };
    ctx.data(&Report {
        folder: folder(args).display().to_string(),
        n_fragments: changelog.fragments.len(),
        findings: changelog.findings,
    })?;
    Ok(outcome)
}

#[derive(serde::Serialize)]
struct Report {
    folder: String,
    n_fragments: usize,
    findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}/{finding}", self.folder)?;
        }
        let n_faulty = self.findings.len();
        write!(f, "{} sound fragments; {n_faulty} faults", self.n_fragments)
    }
}

pub(super) fn begin(args: &Args, new: &New, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let id = FragmentId::new(new.section, new.date.unwrap_or_else(today), &new.name)?;
    let path = path_of(args, &id);
    if path.exists() {
        return Err(Unusable::Exists(id).into());
    }
    files::write_atomic(&path, text_of(new).as_bytes())?;
    ctx.line(path.display())?;
    Ok(Outcome::Done)
}

fn text_of(new: &New) -> String {
    let mut facts = String::new();
    if !new.package.is_empty() {
        let names: Vec<String> = new.package.iter().map(|name| format!("\"{name}\"")).collect();
        facts.push_str(&format!("packages = [{}]\n", names.join(", ")));
    }
    if let Some(action) = &new.action {
        facts.push_str(&format!("action = {}\n", serde_json::Value::from(action.as_str())));
    }
    if new.known_issue {
        facts.push_str("known-issue = true\n");
    }
    let entry = new.entry.as_deref().unwrap_or_default();
    let lines: Vec<&str> = entry.lines().map(str::trim).collect();
    let entry = format!("- {}\n", lines.join("\n  "));
    if facts.is_empty() { entry } else { format!("+++\n{facts}+++\n{entry}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_release::notes::Fragment;

    fn new(entry: Option<&str>) -> New {
        New {
            section: sm_model::notes::Section::Bugfixes,
            name: "lamp".to_owned(),
            entry: entry.map(str::to_owned),
            package: vec!["openssl".parse().unwrap()],
            action: Some("Say \"hello\" \\ twice.".to_owned()),
            known_issue: true,
            date: None,
        }
    }

    #[test]
    fn what_is_begun_with_words_is_a_fragment_and_without_words_is_none_yet() {
        let id = "bugfixes/2026-11-20-lamp.md".parse().unwrap();
        let fragment =
            Fragment::parse(&id, text_of(&new(Some("Fixed the lamp\nin the hall."))).as_bytes()).unwrap();
        assert_eq!(fragment.entries[0].words(), "Fixed the lamp in the hall.");
        assert_eq!(fragment.action.unwrap().words(), "Say \"hello\" \\ twice.");
        assert!(fragment.known_issue && fragment.packages.contains("openssl"));
        assert!(Fragment::parse(&id, text_of(&new(None)).as_bytes()).is_err());
    }
}
