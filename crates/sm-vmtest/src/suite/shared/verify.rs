//! `verity.verify`: /usr is read through a checksum tree whose root is the manifest's, a corrupted block stops the machine, and the
//! whole partition is proven by that root right now.

use std::time::Duration;

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long hashing a whole /usr takes on a guest's own processor, at most.
const WHOLE: Duration = Duration::from_secs(30);

/// Tells the running device's table and status, and whether all of it is proven.
const SCRIPT: &str = r#"
echo "table $(dmsetup table usr)"
echo "status $(dmsetup status usr)"
echo "source $(readlink -f "$(findmnt -no SOURCE /usr)") $(readlink -f /dev/mapper/usr)"
numbers=$(dmsetup table usr | cut -d ' ' -f 5,6)
data=/dev/$(basename "$(readlink /sys/dev/block/${numbers% *})")
tree=/dev/$(basename "$(readlink /sys/dev/block/${numbers#* })")
root=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^usrhash=//p')
if veritysetup verify "$data" "$tree" "$root" >/run/verify 2>&1; then echo "proven"; else echo "refuted $(tail -n 1 /run/verify)"; fi
rm -f /run/verify
"#;

/// Compares what the machine says with the manifest.
pub fn verify(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let answer = machine.run(SCRIPT, WHOLE)?;
    bench.note(&answer.output);
    let manifest = bench.release().manifest();
    Ok(judge(&answer.output, &manifest.usr_root_hash.to_string(), manifest.usr_size_bytes))
}

fn judge(said: &str, root_hash: &str, size_bytes: u64) -> Findings {
    let after = |word: &str| said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or("");
    // Documentation/admin-guide/device-mapper/verity.rst: start, sectors, `verity`, version, data, tree, block sizes, blocks,
    // start of the tree, algorithm, root, salt, options.
    let table: Vec<&str> = after("table ").split(' ').collect();
    let field = |i: usize| table.get(i).copied().unwrap_or("");
    let mut findings = Findings::of(format!("{} blocks", field(8)));
    findings.expect_equal("the device's target", field(2), "verity");
    findings.expect_equal("the algorithm", field(10), "sha256");
    findings.expect_equal("the root hash", field(11), root_hash);
    findings.expect_equal("the size of data blocks", field(6), "4096");
    let blocks = field(8).parse::<u64>().unwrap_or(0);
    findings.expect_equal("the bytes that are verified", blocks * 4096, size_bytes);
    let stops = table.contains(&"panic_on_corruption");
    findings.require(stops, || "a corrupted block would not stop the machine".to_owned());
    findings.require(after("status ").ends_with(" V"), || {
        format!("the device's status is `{}`, expected one that ends with `V`: verified", after("status "))
    });
    let mut source = after("source ").split(' ');
    findings.require(source.next() == source.next(), || {
        "/usr is not mounted from the verified device".to_owned()
    });
    findings.require(said.lines().any(|line| line == "proven"), || {
        format!("the partition is not proven by the root hash: {}", after("refuted "))
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
table 0 246520 verity 1 253:2 253:3 4096 4096 30815 1 sha256 40eb b0be 1 panic_on_corruption
status 0 246520 verity V
source /dev/dm-0 /dev/dm-0
proven
";

    fn problems(said: &str) -> Vec<String> {
        judge(said, "40eb", 30815 * 4096).problems
    }

    #[test]
    fn a_verified_usr_is_good() {
        assert_eq!(problems(SAID), [""; 0]);
    }

    #[test]
    fn every_way_of_not_being_verified_is_told() {
        for (from, to) in [
            ("40eb", "41eb"),
            ("sha256", "sha1"),
            ("30815", "30814"),
            ("panic_on_corruption", "ignore_corruption"),
            ("verity V", "verity C"),
            ("/dev/dm-0 ", "/dev/vda2 "),
            ("proven", "refuted Verification failed at position 4096."),
            ("246520 verity 1", "246520 linear 1"),
        ] {
            assert_eq!(problems(&SAID.replacen(from, to, 1)).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn a_machine_that_tells_nothing_is_not_verified() {
        assert!(problems("").len() >= 5);
    }
}
