//! What the author of an external test says about it: `kola.json` beside it, or a comment in its first lines, as
//! `# kola: {"exclusive": false}` on one line, or as `## kola:` with one `##   key: value` a line below it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use sm_model::Arch;

use super::Wishes;
use crate::suite::room::Needs;

/// Lines of a program that are looked at for a comment.
const MAX_HEADER_LINES: usize = 50;
/// Longest that a test may take unless it says otherwise: kola's.
const DEFAULT_MINUTES: u64 = 10;

/// Longest that a test may ask for: a typing error must not hold a run for years.
const MAX_MINUTES: u64 = 24 * 60;
/// Largest memory, and largest disk, that a test may ask for.
const MAX_MIB: u32 = 1 << 20;
/// Most disks that a test may ask for beside the first.
const MAX_DISKS: usize = 16;

/// Metadata as kola defines it. A key that we do not know is refused: it might be what the test depends on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Metadata {
    architectures: String,
    platforms: String,
    distros: String,
    tags: String,
    required_tag: String,
    additional_disks: Vec<String>,
    additional_nics: u32,
    append_kernel_args: String,
    append_firstboot_kernel_args: String,
    inject_container: bool,
    min_memory: u32,
    min_disk: u32,
    timeout_min: u64,
    exclusive: Option<bool>,
    conflicts: Vec<String>,
    description: String,
    creation_date: String,
    allow_config_warnings: bool,
    no_instance_creds: bool,
}

/// What a test's header and its directory's `kola.json` say; the header goes before.
///
/// # Errors
/// With what is not understood, or cannot be had anywhere.
pub fn wishes(program: &[u8], beside: Option<&str>, arch: Arch) -> Result<Wishes, String> {
    let mut merged = match beside {
        Some(text) => serde_json::from_str(text).map_err(|error| format!("`kola.json`: {error}"))?,
        None => Map::new(),
    };
    merged.extend(header(&String::from_utf8_lossy(program))?);
    let metadata: Metadata =
        serde_json::from_value(Value::Object(merged)).map_err(|error| error.to_string())?;
    metadata.understood(arch)
}

/// The comment in a program's first lines.
fn header(program: &str) -> Result<Map<String, Value>, String> {
    let lines: Vec<&str> = program.lines().take(MAX_HEADER_LINES).collect();
    if let Some(json) = lines.iter().find_map(|line| line.strip_prefix("# kola:")) {
        return serde_json::from_str(json).map_err(|error| format!("`# kola:`: {error}"));
    }
    let Some(at) = lines.iter().position(|line| line.trim_end() == "## kola:") else { return Ok(Map::new()) };
    let keyed = lines[at + 1..].iter().map_while(|line| line.strip_prefix("##   "));
    keyed
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| {
            let (key, value) =
                line.split_once(':').ok_or_else(|| format!("`{line}`: expected `key: value`"))?;
            Ok((key.trim().to_owned(), scalar(value.trim())))
        })
        .collect()
}

/// A value as YAML reads it, as far as kola's metadata needs: JSON, or else text.
fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.trim_matches(['"', '\''])))
}

impl Metadata {
    fn understood(&self, arch: Arch) -> Result<Wishes, String> {
        let bounds = [
            ("timeoutMin", self.timeout_min, MAX_MINUTES),
            ("minMemory", u64::from(self.min_memory), u64::from(MAX_MIB)),
            ("additionalDisks", self.additional_disks.len() as u64, MAX_DISKS as u64),
        ];
        if let Some((key, found, most)) = bounds.into_iter().find(|(_, found, most)| found > most) {
            return Err(format!("`{key}`: {found} is more than {most}"));
        }
        let disks = self.additional_disks.iter().map(|disk| mebibytes(disk)).collect::<Result<_, _>>()?;
        let minutes = if self.timeout_min == 0 { DEFAULT_MINUTES } else { self.timeout_min };
        let needs = Needs { memory_mib: self.min_memory.max(Needs::ONE.memory_mib), ..Needs::ONE };
        Ok(Wishes {
            description: Some(self.description.clone()).filter(|text| !text.is_empty()),
            limit: Duration::from_secs(60 * minutes),
            is_exclusive: self.exclusive.unwrap_or(true),
            needs,
            further_disks_mib: disks,
            conflicts: self.conflicts.clone(),
            tags: self.tags.split_whitespace().map(str::to_owned).collect(),
            cannot: self.obstacle(arch),
        })
    }

    /// Why the test cannot be carried out here, if so.
    fn obstacle(&self, arch: Arch) -> Option<String> {
        let apply = [
            ("architectures", &self.architectures, arch.uname()),
            ("platforms", &self.platforms, "qemu"),
            ("distros", &self.distros, "boxcar"),
        ];
        let excluded = apply.into_iter().find(|(_, list, here)| !is_included(list, here));
        let wanted = [
            ("requiredTag", !self.required_tag.is_empty()),
            ("additionalNics", self.additional_nics > 0),
            ("appendKernelArgs", !self.append_kernel_args.is_empty()),
            ("appendFirstbootKernelArgs", !self.append_firstboot_kernel_args.is_empty()),
            ("injectContainer", self.inject_container),
            ("minDisk", self.min_disk > 8),
        ];
        excluded.map(|(key, list, here)| format!("it is not for {here}: `{key}` is `{list}`")).or_else(|| {
            wanted.iter().find(|(_, is)| *is).map(|(key, _)| format!("`{key}` cannot be had here"))
        })
    }
}

/// Whether a list of kola's form names something: nothing names all, `!` before the first word excludes the words.
fn is_included(list: &str, what: &str) -> bool {
    let names = |list: &str| list.split_whitespace().any(|word| word == what);
    match list.trim().strip_prefix('!') {
        Some(excluded) => !names(excluded),
        None => list.trim().is_empty() || names(list),
    }
}

/// A disk's size as kola writes it: `5G`, `512M`, with options after a colon.
fn mebibytes(disk: &str) -> Result<u32, String> {
    let size = disk.split(':').next().unwrap_or_default();
    let scaled = match (size.strip_suffix('G'), size.strip_suffix('M')) {
        (Some(n), _) => n.parse::<u32>().ok().and_then(|n| n.checked_mul(1024)),
        (_, Some(n)) => n.parse().ok(),
        _ => None,
    };
    let bounded = scaled.filter(|mib| *mib > 0 && *mib <= MAX_MIB);
    bounded.ok_or_else(|| {
        format!("`additionalDisks`: `{disk}` is no size of at most 1024G: expected `5G` or `512M`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(program: &str) -> Result<Wishes, String> {
        wishes(program.as_bytes(), None, Arch::Amd64)
    }

    #[test]
    fn what_no_host_has_is_refused() {
        for (wish, key) in [
            (format!("\"timeoutMin\": {}", u64::MAX), "timeoutMin"),
            (format!("\"minMemory\": {}", u32::MAX), "minMemory"),
            ("\"additionalDisks\": [\"4000000G\"]".to_owned(), "additionalDisks"),
            ("\"additionalDisks\": [\"0G\"]".to_owned(), "additionalDisks"),
            (format!("\"additionalDisks\": [{}\"1G\"]", "\"1G\", ".repeat(20)), "additionalDisks"),
        ] {
            let refused = of(&format!("# kola: {{{wish}}}\n")).unwrap_err();
            assert!(refused.contains(key), "{wish}: {refused}");
        }
    }

    #[test]
    fn a_test_that_says_nothing_gets_a_machine_of_its_own_and_ten_minutes() {
        let wishes = of("#!/bin/bash\nset -e\n").unwrap();
        assert!(wishes.is_exclusive && !wishes.needs_own_boot() && wishes.cannot.is_none());
        assert_eq!(wishes.limit, Duration::from_secs(600));
    }

    #[test]
    fn both_forms_of_header_say_the_same() {
        let json = of("#!/bin/bash\n# kola: {\"exclusive\": false, \"timeoutMin\": 3, \"tags\": \"a b\"}\n");
        let yaml = of(
            "#!/bin/bash\n## kola:\n##   exclusive: false\n##   # why\n##   timeoutMin: 3\n##   tags: \"a b\"\n#\n",
        );
        assert_eq!(json, yaml);
        assert_eq!(json.unwrap().tags, ["a", "b"]);
    }

    #[test]
    fn the_header_goes_before_the_file_beside_it() {
        let program = b"# kola: {\"timeoutMin\": 3}\n";
        let wishes = wishes(program, Some(r#"{"timeoutMin": 9, "minMemory": 3072}"#), Arch::Amd64).unwrap();
        assert_eq!((wishes.limit, wishes.needs.memory_mib), (Duration::from_secs(180), 3072));
        assert!(wishes.needs_own_boot());
    }

    #[test]
    fn what_cannot_be_had_is_told_and_not_passed_over() {
        for (json, reason) in [
            (r#"{"platforms": "aws gcp"}"#, "it is not for qemu: `platforms` is `aws gcp`"),
            (r#"{"platforms": "!qemu"}"#, "it is not for qemu: `platforms` is `!qemu`"),
            (
                r#"{"architectures": "!x86_64 ppc64le"}"#,
                "it is not for x86_64: `architectures` is `!x86_64 ppc64le`",
            ),
            (r#"{"appendKernelArgs": "quiet"}"#, "`appendKernelArgs` cannot be had here"),
        ] {
            assert_eq!(of(&format!("# kola: {json}\n")).unwrap().cannot.as_deref(), Some(reason));
        }
        assert!(
            of("# kola: {\"platforms\": \"qemu aws\", \"architectures\": \"!s390x\"}")
                .unwrap()
                .cannot
                .is_none()
        );
    }

    #[test]
    fn metadata_that_is_not_understood_is_refused() {
        for text in [
            "# kola: {\"exclusiv\": true}",
            "# kola: [",
            "## kola:\n##   what",
            "# kola: {\"additionalDisks\": [\"5\"]}",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
