//! Judges `[packages]`, `[tools]`, `[compiler]` and `[sysroot]`: which packages are wanted, which must stay out, which are only taken as present.

use std::collections::BTreeMap;

use sm_debian::{Pin, Request, SuiteRef};
use sm_model::{Arch, PackageName};

use super::{Checker, Section, identity::Archive};
use crate::recipe::{
    place::{At, Place},
    raw::{RawPackages, RawPin, RawTools},
    section::Named,
    types::Toolchain,
};

/// Package names and where each is written.
type Names = BTreeMap<PackageName, Place>;

impl Checker<'_> {
    /// The request for the image of one architecture. The kernel's package is added by the caller.
    pub(super) fn packages(&mut self, arch: Arch, raw: &RawPackages, archive: &Archive) -> Request {
        let section = Section::new("`[packages]`", raw.place, &raw.written);
        let pins = self.pins(&raw.pins, archive);
        let lists = [&raw.wanted, &raw.excluded, &raw.assumed].map(Vec::as_slice);
        let mut request = self.request(lists, section, archive.enabled.clone());
        request.arch = arch;
        request.pins = pins;
        request
    }

    /// The requests for what builds the update agent. A recipe has both or none.
    pub(super) fn toolchain(
        &mut self,
        compiler: &RawTools,
        sysroot: &RawTools,
        archive: &Archive,
    ) -> Option<Toolchain> {
        compiler.place.or(sysroot.place)?;
        Some(Toolchain {
            compiler: self.tools("`[compiler]`", compiler, archive),
            sysroot: self.tools("`[sysroot]`", sysroot, archive),
        })
    }

    /// The request for a tree of tools; its architecture is set later.
    pub(super) fn tools(&mut self, name: &'static str, raw: &RawTools, archive: &Archive) -> Request {
        let section = Section::new(name, raw.place, &raw.written);
        let mut suites = Vec::new();
        for name in &raw.suites {
            suites.extend(self.declared_suite(&name.value, name.place, archive));
        }
        if raw.suites.is_empty() {
            suites.clone_from(&archive.enabled);
        }
        self.request([&raw.wanted, &raw.excluded, &raw.assumed].map(Vec::as_slice), section, suites)
    }

    fn request(&mut self, lists: [&[At<String>]; 3], section: Section<'_>, suites: Vec<SuiteRef>) -> Request {
        let [wanted, excluded, assumed] = lists.map(|list| self.parsed_set::<PackageName>(list));
        if wanted.is_empty() {
            let what = format!("{} wants no package", section.name);
            self.problems.note(section.place, what).expected("`wanted` with at least one package name");
        }
        self.refuse_overlap(&wanted, "wanted", &excluded, "excluded");
        self.refuse_overlap(&wanted, "wanted", &assumed, "assumed");
        self.refuse_overlap(&excluded, "excluded", &assumed, "assumed");
        Request {
            arch: Arch::Amd64,
            suites,
            wanted: wanted.into_keys().collect(),
            excluded: excluded.into_keys().collect(),
            assumed: assumed.into_keys().collect(),
            pins: BTreeMap::new(),
        }
    }

    fn refuse_overlap(&mut self, one: &Names, one_is: &str, other: &Names, other_is: &str) {
        for (name, place) in other {
            if one.contains_key(name) {
                self.problems
                    .note(*place, format!("package `{name}` is both {one_is} and {other_is}"))
                    .hint("keep it in one of the two lists");
            }
        }
    }

    fn pins(&mut self, raw: &Named<RawPin>, archive: &Archive) -> BTreeMap<PackageName, Pin> {
        let mut pins = BTreeMap::new();
        for (name, pin) in &raw.0 {
            let package = self.parsed(name);
            let pin = self.pin(name, pin, archive);
            pins.extend(package.zip(pin));
        }
        pins
    }

    fn pin(&mut self, name: &At<String>, raw: &RawPin, archive: &Archive) -> Option<Pin> {
        match (&raw.suite, &raw.version) {
            (Some(suite), None) => {
                let suite = self.declared_suite(&suite.value, suite.place, archive)?;
                Some(Pin::Suite(suite.suite))
            }
            (None, Some(version)) => self.parsed(version).map(Pin::Version),
            (Some(_), Some(_)) | (None, None) => {
                self.problems
                    .note(name.place, format!("the pin of `{}` does not say to what", name.value))
                    .expected("exactly one of `suite` and `version`");
                None
            }
        }
    }
}
