//! Judges `[units]`, `[drop]` and the lists of `[initrd]`: names and patterns, each of a known shape, none against another.

use std::collections::BTreeMap;

use super::{Checker, Section};
use crate::{
    recipe::{
        place::{At, Place},
        raw::{RawDrop, RawUnits, Texts},
        types::{DropRules, Units},
    },
    tree::Patterns,
};

/// Suffixes of systemd's unit files (systemd.unit(5)).
const UNIT_TYPES: [&str; 10] =
    ["service", "socket", "target", "timer", "mount", "automount", "path", "slice", "swap", "scope"];

impl Checker<'_> {
    pub(super) fn units(&mut self, raw: &RawUnits) -> Units {
        let section = Section::new("`[units]`", raw.place, &raw.written);
        let target =
            self.required(&raw.default_target, section, "default-target", "a target: `multi-user.target`");
        if let Some(target) = target {
            self.unit_name(target);
        }
        let enabled = self.unit_names(&raw.enabled);
        let masked = self.unit_names(&raw.masked);
        let health = self.unit_names(&raw.health);
        self.refuse_masked(&enabled, "enabled", &masked);
        self.refuse_masked(&health, "a health unit", &masked);
        if let Some(target) = target
            && let Some(place) = masked.get(&target.value)
        {
            self.masked_but(&target.value, "the default target", *place);
        }
        let names = |units: BTreeMap<String, Place>| units.into_keys().collect();
        Units {
            default_target: target.map_or_else(String::new, |target| target.value.clone()),
            enabled: names(enabled),
            masked: names(masked),
            health: names(health),
        }
    }

    fn refuse_masked(
        &mut self,
        units: &BTreeMap<String, Place>,
        are: &str,
        masked: &BTreeMap<String, Place>,
    ) {
        for (name, place) in masked {
            if units.contains_key(name) {
                self.masked_but(name, are, *place);
            }
        }
    }

    fn masked_but(&mut self, name: &str, is: &str, place: Place) {
        self.problems
            .note(place, format!("unit `{name}` is masked and yet {is}"))
            .hint("a masked unit never starts: remove it from one of the two lists");
    }

    /// Unit names, each once.
    pub(super) fn unit_names(&mut self, raw: &Texts) -> BTreeMap<String, Place> {
        for name in raw {
            self.unit_name(name);
        }
        self.parsed_set::<String>(raw)
    }

    fn unit_name(&mut self, name: &At<String>) {
        let typed = name
            .value
            .rsplit_once('.')
            .is_some_and(|(stem, kind)| !stem.is_empty() && UNIT_TYPES.contains(&kind));
        let clean = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        if !typed || !clean || name.value.len() > 255 {
            self.problems
                .note(name.place, format!("`{}` is no unit name", name.value.escape_debug()))
                .expected("a name with its type: `sshd.service`, `boot-complete.target`");
        }
    }

    pub(super) fn drop_rules(&mut self, raw: &RawDrop) -> DropRules {
        DropRules { paths: self.patterns(&raw.paths), keep: self.patterns(&raw.keep) }
    }

    /// Glob patterns over image paths, in the order written.
    pub(super) fn patterns(&mut self, raw: &Texts) -> Vec<String> {
        for pattern in raw {
            if let Err(error) = Patterns::new(&[&pattern.value]) {
                self.problems.note(pattern.place, error.to_string());
            }
        }
        self.refuse_repeated(raw);
        raw.iter().map(|pattern| pattern.value.clone()).collect()
    }

    /// Words without spaces, in the order written, each once.
    pub(super) fn words(&mut self, raw: &Texts, what: &str) -> Vec<String> {
        for word in raw {
            if word.value.is_empty() || word.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.problems
                    .note(word.place, format!("`{}` is no {what}", word.value.escape_debug()))
                    .expected("one word: write each in quotes of its own");
            }
        }
        self.refuse_repeated(raw);
        raw.iter().map(|word| word.value.clone()).collect()
    }

    fn refuse_repeated(&mut self, raw: &Texts) {
        self.parsed_set::<String>(raw);
    }
}
