//! Judges `[os]` and `[archive]`: what the system is called, and where its packages come from.

use std::{collections::BTreeMap, sync::Arc};

use sm_debian::{SuiteName, SuiteRef};
use sm_model::{Channel, Timestamp};

use super::{Checker, Section};
use crate::recipe::{
    place::{At, Place},
    raw::{RawArchive, RawOs, RawSuite},
    types::Os,
};

/// The archive's suites, and the keyring they are signed with.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) keyring: Arc<[u8]>,
    /// Suites that take part, in the order of their names.
    pub(super) enabled: Vec<SuiteRef>,
    /// Every suite declared.
    pub(super) declared: BTreeMap<SuiteName, SuiteRef>,
}

impl Checker<'_> {
    /// `None` when there is no usable epoch, which is then noted.
    pub(super) fn os(&mut self, raw: &RawOs) -> Option<Os> {
        let section = Section::new("`[os]`", raw.place, &raw.written);
        let id = self.os_id(&raw.id, section);
        let name_expected = "a name for people, for example `\"Boxcar Linux\"`";
        let name = self.plain_line(&raw.name, section, "name", name_expected);
        let epoch = self.epoch(&raw.epoch, section);
        let channels = self.channels(&raw.channels, section);
        let app_id = self.app_id(&raw.app_id, section);
        let distro = self.distro(&raw.distro, section);
        Some(Os { id, name, epoch: epoch?, channels, app_id, distro })
    }

    fn os_id(&mut self, raw: &Option<At<String>>, section: Section<'_>) -> String {
        let expected =
            "lower-case letters, digits, `.`, `_` or `-`, starting with a letter (os-release, `ID=`)";
        let Some(id) = self.required(raw, section, "id", expected) else { return String::new() };
        let clean =
            id.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        if !clean || !id.value.starts_with(|c: char| c.is_ascii_lowercase()) || id.value.len() > 32 {
            let what = format!("`{}` cannot be an operating system's id", id.value.escape_debug());
            self.problems.note(id.place, what).expected(expected);
        }
        id.value.clone()
    }

    /// A text of one line that needs no quoting in os-release.
    fn plain_line(
        &mut self,
        raw: &Option<At<String>>,
        section: Section<'_>,
        key: &str,
        expected: &str,
    ) -> String {
        let Some(text) = self.required(raw, section, key, expected) else { return String::new() };
        if text.value.is_empty() || text.value.contains(|c: char| c.is_control() || "\"$`\\".contains(c)) {
            let what = format!("`{key}` holds a character that os-release must quote, or nothing");
            self.problems.note(text.place, what).expected(expected);
        }
        text.value.clone()
    }

    fn epoch(&mut self, raw: &Option<At<toml::value::Date>>, section: Section<'_>) -> Option<Timestamp> {
        let expected = "the day that versions count from, for example `2013-07-01`";
        let date = self.required(raw, section, "epoch", expected)?;
        let midnight = format!("{}T00:00:00Z", date.value).parse();
        if midnight.is_err() {
            self.problems.note(date.place, format!("`{}` is no day", date.value)).expected(expected);
        }
        midnight.ok()
    }

    fn channels(&mut self, raw: &[At<String>], section: Section<'_>) -> Vec<Channel> {
        if raw.is_empty() {
            self.lacks(section, "channels", "a list of `alpha`, `beta`, `stable` or `lts-YEAR`");
        }
        self.parsed_set(raw).into_keys().collect()
    }

    fn app_id(&mut self, raw: &Option<At<String>>, section: Section<'_>) -> String {
        let expected =
            "a UUID in braces and lower case, for example `{01234567-89ab-cdef-0123-456789abcdef}`";
        let Some(id) = self.required(raw, section, "app-id", expected) else { return String::new() };
        if !is_braced_uuid(&id.value) {
            let what = format!("`{}` is no application id", id.value.escape_debug());
            self.problems.note(id.place, what).expected(expected);
        }
        id.value.clone()
    }

    fn distro(&mut self, raw: &Option<At<String>>, section: Section<'_>) -> String {
        let expected = "the distribution the packages come from, as package URLs name it: `debian-13`";
        let Some(distro) = self.required(raw, section, "distro", expected) else { return String::new() };
        let shape = distro.value.split_once('-').is_some_and(|(name, version)| {
            let digits = |b: u8| b.is_ascii_digit() || b == b'.';
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase())
                && !version.is_empty()
                && version.bytes().all(digits)
        });
        if !shape {
            let what = format!("`{}` names no distribution", distro.value.escape_debug());
            self.problems.note(distro.place, what).expected(expected);
        }
        distro.value.clone()
    }

    pub(super) fn archive(&mut self, raw: &RawArchive) -> Archive {
        let section = Section::new("`[archive]`", raw.place, &raw.written);
        let keyring = self
            .required(&raw.keyring, section, "keyring", "a file of OpenPGP public keys beside the recipe")
            .and_then(|source| self.source_file(source))
            .map_or_else(|| Arc::from([]), |file| file.bytes);
        let mut archive = Archive { keyring, enabled: Vec::new(), declared: BTreeMap::new() };
        for (name, suite) in &raw.suites.0 {
            let Some(reference) = self.suite(name, suite) else { continue };
            if suite.enabled.as_ref().is_none_or(|enabled| enabled.value) {
                archive.enabled.push(reference.clone());
            }
            archive.declared.insert(reference.suite.clone(), reference);
        }
        if archive.enabled.is_empty() {
            let problem = self.problems.note(section.place, "no suite of `[archive]` is enabled");
            problem.expected("at least one `[archive.suites.NAME]` without `enabled = false`");
        }
        archive
    }

    fn suite(&mut self, name: &At<String>, raw: &RawSuite) -> Option<SuiteRef> {
        let section = Section::new("the suite", raw.place.or(Some(name.place)), &raw.written);
        let suite = self.parsed(name);
        let mirror =
            self.required(&raw.mirror, section, "mirror", "the name of a configured mirror: `debian`");
        let mirror = mirror.and_then(|mirror| self.parsed(mirror));
        if raw.components.is_empty() {
            let problem =
                self.problems.note(section.place, format!("suite `{}` lacks `components`", name.value));
            problem.expected("a list, for example `[\"main\"]`");
        }
        let components = raw.components.iter().filter_map(|component| self.parsed(component)).collect();
        Some(SuiteRef { mirror: mirror?, suite: suite?, components })
    }

    /// The declared suite of that name, or a complaint.
    pub(super) fn declared_suite(&mut self, name: &str, place: Place, archive: &Archive) -> Option<SuiteRef> {
        let found = archive.declared.values().find(|suite| suite.suite.as_str() == name);
        if found.is_none() {
            let names: Vec<_> = archive.declared.keys().map(SuiteName::as_str).collect();
            let problem =
                self.problems.note(place, format!("no suite `{}` is declared", name.escape_debug()));
            problem.expected(format!("one of {}", crate::recipe::section::quoted_list(&names)));
            problem.hint(format!("declare it as `[archive.suites.{name}]`"));
        }
        found.cloned()
    }
}

/// Whether this is `{8-4-4-4-12}` lower-case hexadecimal digits.
fn is_braced_uuid(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return false };
    let groups: Vec<_> = inner.split('-').collect();
    let digits = |group: &&str| group.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(digits)
}
