//! Judges the sections of one architecture together, and `[kernel]`, `[initrd]` and `[update]` by themselves.

use sm_model::Arch;

use super::{
    Checker, Section,
    accounts::Accounts,
    files::{Claims, Ground},
    identity::Archive,
};
use crate::recipe::{
    raw::{RawInitrd, RawKernel, RawTarget, RawUpdate, Text},
    types::{Initrd, Kernel, Target, UpdateDefaults},
};

/// Longest kernel command line that x86 and arm64 take (`COMMAND_LINE_SIZE`), less room for `usrhash=` and what the host adds.
const MAX_ARGUMENTS_BYTES: usize = 1536;

impl Checker<'_> {
    /// `None` when there is no usable kernel package, which is then noted.
    pub(super) fn target(
        &mut self,
        arch: Arch,
        raw: &RawTarget,
        archive: &Archive,
        os_id: &str,
    ) -> Option<Target> {
        let ground = Ground::Image(os_id);
        let accounts = self.accounts(&raw.users, &raw.groups);
        let mut claims = Claims::default();
        let kernel = self.kernel(&raw.kernel);
        let mut packages = self.packages(arch, &raw.packages, archive);
        if let Some(kernel) = &kernel {
            self.refuse_lost_kernel(kernel, raw, &packages);
            packages.wanted.insert(kernel.package.clone());
        }
        let files = self.placed_files(&raw.files, ground, &accounts, &mut claims);
        let directories = self.directories(&raw.directories, ground, &accounts, &mut claims);
        let modes = self.modes(&raw.modes, ground, &accounts, &mut claims);
        let symlinks = self.symlinks(&raw.symlinks, ground, &mut claims);
        let units = self.units(&raw.units);
        let drop = self.drop_rules(&raw.drop);
        let initrd = self.initrd(&raw.initrd, &accounts);
        let disk = self.disk(&raw.disk);
        let update = self.update(&raw.update);
        let Accounts { users, groups } = accounts;
        Some(Target {
            arch,
            packages,
            users,
            groups,
            files,
            directories,
            symlinks,
            modes,
            units,
            drop,
            kernel: kernel?,
            initrd,
            disk,
            update,
        })
    }

    fn kernel(&mut self, raw: &RawKernel) -> Option<Kernel> {
        let section = Section::new("`[kernel]`", raw.place, &raw.written);
        let package = self.required(
            &raw.package,
            section,
            "package",
            "the package that brings the kernel of this architecture",
        );
        let package = package.and_then(|package| self.parsed(package));
        let arguments = self.kernel_arguments(raw);
        Some(Kernel { package: package?, arguments })
    }

    /// Repeated arguments are meant (`console=` twice); those that composing sets are not.
    fn kernel_arguments(&mut self, raw: &RawKernel) -> Vec<String> {
        for argument in &raw.arguments {
            let text = &argument.value;
            let key = text.split_once('=').map_or(text.as_str(), |(key, _)| key);
            if text.is_empty()
                || text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii())
            {
                self.problems
                    .note(argument.place, format!("`{}` is no kernel argument", text.escape_debug()))
                    .expected("one ASCII word: write each argument in quotes of its own");
            }
            if matches!(key, "usrhash" | "roothash" | "root" | "mount.usr" | "initrd") {
                self.problems
                    .note(argument.place, format!("the kernel argument `{key}` is set by composing itself"))
                    .hint("remove it: slots are found by the root hash of /usr");
            }
        }
        let length: usize = raw.arguments.iter().map(|argument| argument.value.len() + 1).sum();
        if length > MAX_ARGUMENTS_BYTES {
            let section = Section::new("`[kernel]`", raw.place, &raw.written);
            self.problems
                .note(section.place, format!("the kernel arguments have {length} bytes"))
                .expected(format!("at most {MAX_ARGUMENTS_BYTES}"));
        }
        raw.arguments.iter().map(|argument| argument.value.clone()).collect()
    }

    fn refuse_lost_kernel(&mut self, kernel: &Kernel, raw: &RawTarget, packages: &sm_debian::Request) {
        let lost = packages.excluded.contains(&kernel.package) || packages.assumed.contains(&kernel.package);
        if let Some(package) = raw.kernel.package.as_ref().filter(|_| lost) {
            self.problems
                .note(
                    package.place,
                    format!("the kernel's package `{}` is excluded or assumed", kernel.package),
                )
                .hint("remove it from `excluded` and `assumed` of `[packages]`");
        }
    }

    fn initrd(&mut self, raw: &RawInitrd, accounts: &Accounts) -> Initrd {
        let mut claims = Claims::default();
        Initrd {
            modules: self.words(&raw.modules, "kernel module"),
            files: self.patterns(&raw.files),
            units: self.unit_names(&raw.units).into_keys().collect(),
            placed: self.placed_files(&raw.placed, Ground::Initrd, accounts, &mut claims),
            symlinks: self.symlinks(&raw.symlinks, Ground::Initrd, &mut claims),
        }
    }

    fn update(&mut self, raw: &RawUpdate) -> UpdateDefaults {
        let section = Section::new("`[update]`", raw.place, &raw.written);
        let payload_key_pem = raw.payload_key.as_ref().and_then(|source| {
            let file = self.source_file(source)?;
            let text = std::str::from_utf8(&file.bytes).ok().filter(|text| text.contains("BEGIN PUBLIC KEY"));
            if text.is_none() {
                self.problems
                    .note(source.place, format!("`{}` is no public key", source.value.escape_debug()))
                    .expected("PEM text with `BEGIN PUBLIC KEY`")
                    .hint("`stationmaster payload keygen` makes a pair");
            }
            text.map(str::to_owned)
        });
        UpdateDefaults {
            server: self.update_server(&raw.server, section),
            reboot_strategy: self.reboot_strategy(&raw.reboot_strategy, section),
            payload_key_pem,
        }
    }

    fn update_server(&mut self, raw: &Text, section: Section<'_>) -> String {
        let expected = "`disabled`, or a URL starting with `http://` or `https://`";
        let Some(server) = self.required(raw, section, "server", expected) else { return String::new() };
        let url = server.value.strip_prefix("http://").or_else(|| server.value.strip_prefix("https://"));
        let url_ok = url.is_some_and(|rest| {
            !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if server.value != "disabled" && !url_ok {
            let what = format!("`{}` is no update server", server.value.escape_debug());
            self.problems.note(server.place, what).expected(expected);
        }
        server.value.clone()
    }

    fn reboot_strategy(&mut self, raw: &Text, section: Section<'_>) -> String {
        let expected = "`reboot` or `off`";
        let Some(strategy) = self.required(raw, section, "reboot-strategy", expected) else {
            return String::new();
        };
        if !matches!(strategy.value.as_str(), "reboot" | "off") {
            let what = format!("`{}` is no reboot strategy", strategy.value.escape_debug());
            self.problems.note(strategy.place, what).expected(expected);
        }
        strategy.value.clone()
    }
}
