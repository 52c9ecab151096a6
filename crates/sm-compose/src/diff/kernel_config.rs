//! Differences between two build configurations of the kernel (`.config` files).

use std::collections::BTreeMap;

use serde::Serialize;

/// An option that is not the same in both configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionChange {
    /// Its name: `CONFIG_EROFS_FS`.
    pub option: String,
    /// Its value in the older configuration: `y`, `m`, `n`, a number or a text; `None` when it was not there.
    pub old: Option<String>,
    /// Its value in the newer configuration.
    pub new: Option<String>,
}

/// Options that are not the same, by name.
pub fn config_changes(old: &str, new: &str) -> Vec<OptionChange> {
    let (old, new) = (options(old), options(new));
    let names = old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let value =
        |options: &BTreeMap<&str, &str>, name| options.get(name).map(|value: &&str| (*value).to_owned());
    changed
        .map(|name| OptionChange {
            option: (*name).to_owned(),
            old: value(&old, name),
            new: value(&new, name),
        })
        .collect()
}

/// `CONFIG_X=value` and `# CONFIG_X is not set`; everything else is a comment.
fn options(text: &str) -> BTreeMap<&str, &str> {
    let option = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.find("CONFIG_")?;
        let end = start + line[start..].find([' ', '='])?;
        Some((start, end))
    };
    let parsed = text.lines().filter_map(|line| {
        let (start, end) = option(line)?;
        let (name, rest) = (&line[start..end], &line[end..]);
        match (start, rest) {
            (0, value) => value.strip_prefix('=').map(|value| (name, value)),
            (2, " is not set") if line.starts_with("# ") => Some((name, "n")),
            _ => None,
        }
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_appear_change_and_vanish() {
        let old = "# Linux 6.12.48\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=\"x=y\"\n# about CONFIG_E now\n";
        let new = "CONFIG_B=y\nCONFIG_C=m\nCONFIG_D=\"x=y\"\nCONFIG_F=5\n";
        let told: Vec<_> = config_changes(old, new)
            .into_iter()
            .map(|change| format!("{} {:?} {:?}", change.option, change.old, change.new))
            .collect();
        assert_eq!(
            told,
            [
                "CONFIG_A Some(\"y\") None",
                "CONFIG_B Some(\"m\") Some(\"y\")",
                "CONFIG_C Some(\"n\") Some(\"m\")",
                "CONFIG_F None Some(\"5\")",
            ]
        );
    }

    proptest! {
        #[test]
        fn a_text_does_not_differ_from_itself(text in "(# )?CONFIG_[A-Z]{0,2}[ =]?\\PC{0,9}\n{0,2}") {
            prop_assert_eq!(config_changes(&text, &text), vec![]);
        }
    }
}
