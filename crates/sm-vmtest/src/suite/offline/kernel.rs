//! `image.kernel-config`: the kernel is built with what the image needs and what protects it.

use std::collections::BTreeMap;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked},
};

/// Required options are set as listed; forbidden ones are not set.
///
/// # Errors
/// When the configuration could not be read.
pub fn kernel_config(facts: &Facts) -> Looked {
    let options = options(known(&facts.kernel_config)?);
    let lists = &facts.lists.kernel;
    let value = |name: &str| options.get(name).copied().unwrap_or("n");
    let mut findings = Findings::of(format!("{} options", options.len()));
    for name in &lists.built_in {
        findings.expect_equal(&format!("`CONFIG_{name}`"), value(name), "y");
    }
    for name in &lists.available {
        let found = value(name);
        findings.require(matches!(found, "y" | "m"), || {
            format!("`CONFIG_{name}` is `{found}`, expected `y` or `m`")
        });
    }
    for name in &lists.unset {
        findings.expect_equal(&format!("`CONFIG_{name}`"), value(name), "n");
    }
    Ok(findings)
}

/// Values by name without `CONFIG_`; the last line of a name wins, as in Kconfig.
fn options(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(from: &str, to: &str) -> String {
        let mut facts = sample::facts();
        let config = facts.kernel_config.as_mut().unwrap();
        assert!(config.contains(from));
        *config = config.replace(from, to);
        problems(kernel_config(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(kernel_config(&sample::facts())), "");
    }

    #[test]
    fn an_option_that_is_lost_or_weakened_is_caught() {
        assert_eq!(with("CONFIG_SECCOMP=y", ""), "`CONFIG_SECCOMP` is `n`, expected `y`");
        assert_eq!(
            with("CONFIG_DM_VERITY=m", "# CONFIG_DM_VERITY is not set"),
            "`CONFIG_DM_VERITY` is `n`, expected `y` or `m`"
        );
        assert_eq!(
            with("# CONFIG_DEVKMEM is not set", "CONFIG_DEVKMEM=y"),
            "`CONFIG_DEVKMEM` is `y`, expected `n`"
        );
    }
}
