//! `update.no-space`: a full disk or boot partition ends an update cleanly, with its reason, and the machine starts as before.

use std::time::Duration;

use sm_model::exit;

use super::offers::Stall;
use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
    machine::Machine,
};

/// How long filling a file system takes on a guest's own processor, at most.
const FILL: Duration = Duration::from_secs(10);
/// Leaves some MiB of /var: what others write meanwhile is not to fail.
const FILL_VAR: &str = r#"
free=$(df --output=avail -B 1M /var | tail -n 1)
fallocate -l $((free - 40))M /var/fill
df -h /var | tail -n 1
"#;
const FILL_EFI: &str = "dd if=/dev/zero of=/efi/fill bs=4M 2>&1 | tail -n 1; sync; df -h /efi | tail -n 1";

/// Fills one after the other, and updates.
pub fn no_space(bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    let mut findings = Findings::of("a full disk, a full boot partition, and a boot afterwards");
    let mut stall = Stall::open(bench, machine)?;
    let payload = stall.own_payload()?;
    let version = stall.later();
    for (what, fill, (status, because), clear) in [
        ("a full disk", FILL_VAR, (exit::NETWORK, "no room for the payload"), "rm /var/fill"),
        (
            "a full boot partition",
            FILL_EFI,
            (exit::STORAGE, "no room for the kernel image"),
            "rm /efi/fill; sync",
        ),
    ] {
        bench.phase(what);
        let filled = machine.run(fill, FILL)?;
        bench.note(&filled.output);
        let taken = stall.offer(machine, version, &payload)?;
        taken.expect_refused(&mut findings, what, status, because);
        taken.expect_untouched(&mut findings, what);
        machine.ask(clear)?;
    }
    bench.phase("boot");
    let boot = machine.reboot()?;
    findings
        .require(boot.is_healthy(), || format!("after a reboot, {} failed", boot.failed_units.join(", ")));
    let running = machine.ask(". /usr/lib/os-release; echo \"$VERSION_ID\"")?;
    findings.expect_equal(
        "the version after a reboot",
        running,
        bench.release().manifest().version.to_string(),
    );
    Ok(findings)
}
