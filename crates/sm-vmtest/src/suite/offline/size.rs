//! `image.size-budget`: what the image weighs, against what it may weigh.

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked},
};

const MIB: u64 = 1 << 20;
/// How many of the largest files the log names.
const N_LARGEST: usize = 20;

/// The /usr image, its files together, and each area keep within their budgets; the log names the largest files.
///
/// # Errors
/// When the image could not be looked into.
pub fn size_budget(facts: &Facts) -> Looked {
    let usr = known(&facts.usr)?;
    let budget = &facts.lists.size;
    let below = |area: &str| -> u64 {
        let prefix = format!("{area}/");
        usr.files().filter(|(path, _)| path.starts_with(&prefix)).map(|(_, inode)| inode.size_bytes).sum()
    };
    let image_bytes = facts.manifest.usr_size_bytes;
    let mut findings = Findings::of(format!("{} MiB of /usr image", image_bytes.div_ceil(MIB)));
    let mut weigh = |what: &str, n_bytes: u64, max_mib: u64| {
        findings.notes.push(format!("{what}: {} of {max_mib} MiB", n_bytes.div_ceil(MIB)));
        findings.require(n_bytes <= max_mib * MIB, || {
            format!("{what} weighs {} MiB, its budget is {max_mib} MiB", n_bytes.div_ceil(MIB))
        });
    };
    weigh("the /usr image", image_bytes, budget.usr_image_mib);
    weigh("/usr unpacked", below("/usr"), budget.usr_files_mib);
    for (area, max_mib) in &budget.areas_mib {
        weigh(area, below(area), *max_mib);
    }
    let mut largest: Vec<_> = usr.files().map(|(path, inode)| (inode.size_bytes, path)).collect();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let lines = largest.iter().take(N_LARGEST).map(|(n_bytes, path)| format!("{n_bytes:>12}  {path}"));
    findings.notes.extend(lines);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(size_budget(&sample::facts())), "");
    }

    #[test]
    fn whatever_outgrows_its_budget_is_caught() {
        let mut facts = sample::facts();
        facts.manifest.usr_size_bytes = 201 * MIB;
        let mut large = sample::file(0o644);
        large.size_bytes = 90 * MIB;
        facts.usr = Ok(sample::with_entry("/usr/lib/modules/large", large));
        assert_eq!(
            problems(size_budget(&facts)),
            "the /usr image weighs 201 MiB, its budget is 200 MiB\n\
             /usr/lib/modules weighs 90 MiB, its budget is 50 MiB"
        );
        assert!(
            size_budget(&facts).unwrap().notes.iter().any(|line| line.ends_with("  /usr/lib/modules/large"))
        );
    }
}
