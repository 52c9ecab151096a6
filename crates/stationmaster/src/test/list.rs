//! `stationmaster test list`: every test, also those that do not exist yet, with the reason.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sm_vmtest::suite::catalog::{Class, Gate, Means, Test};

use super::{Choice, LISTS, external_folder};
use crate::context::{Context, Outcome};

/// Which tests to show.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Folder of external tests, in kola's form [default: the project's own].
    #[arg(long, value_name = "DIR")]
    external: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Entry {
    test: &'static str,
    class: Class,
    gate: Gate,
    asserts: &'static str,
    /// Why it does not exist yet.
    not_yet: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct List(Vec<Entry>);

pub(super) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let external = external_folder(args.external.as_deref(), Path::new(LISTS))?;
    ctx.data(&List(args.choice.tests(&external)?.into_iter().map(Entry::of).collect()))?;
    Ok(Outcome::Done)
}

impl Entry {
    fn of(test: &'static Test) -> Self {
        let not_yet = match test.means {
            Means::NotYet(reason) => Some(reason),
            _ => None,
        };
        Entry { test: test.name, class: test.class, gate: test.gate, asserts: test.asserts, not_yet }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in [Class::Offline, Class::Shared, Class::Clone, Class::Boot] {
            let own: Vec<&Entry> = self.0.iter().filter(|entry| entry.class == class).collect();
            if own.is_empty() {
                continue;
            }
            writeln!(f, "{} ({} tests)", class.title(), own.len())?;
            for entry in own {
                writeln!(f, "  {:<30} {}", entry.test, entry.gate)?;
                writeln!(f, "      {}", entry.asserts)?;
                if let Some(reason) = entry.not_yet {
                    writeln!(f, "      not yet: {reason}")?;
                }
            }
            writeln!(f)?;
        }
        let n_not_yet = self.0.iter().filter(|entry| entry.not_yet.is_some()).count();
        write!(f, "{} tests, {n_not_yet} of them do not exist yet", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use sm_vmtest::suite::catalog;

    use super::*;

    #[test]
    fn every_test_is_listed_with_its_reason_where_it_does_not_exist() {
        let list = List(catalog::ALL.iter().map(Entry::of).collect());
        let text = list.to_string();
        for entry in &list.0 {
            assert!(text.contains(entry.test) && text.contains(entry.asserts), "{}", entry.test);
            assert!(entry.not_yet.is_none_or(|reason| text.contains(reason)), "{}", entry.test);
        }
        assert!(text.lines().all(|line| line.chars().count() <= 88), "{text}");
    }
}
