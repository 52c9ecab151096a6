//! `boot.uefi`: the disk image boots through UEFI firmware and everything in it runs.

use crate::suite::{
    bench::Bench,
    finding::{Findings, Looked},
};

/// Boots the image as it is published.
pub fn uefi(bench: &Bench<'_>) -> Looked {
    bench.phase("boot");
    let plan = bench.plan("a", bench.release())?;
    let mut machine = bench.start("a", plan)?;
    let report = machine.next_boot()?;
    bench.phase("assert");
    let mut findings = Findings::of(format!("a boot of {} ms", report.settled_millis));
    findings.expect_equal("the system", report.state.as_str(), "running");
    let failed = report.failed_units.iter().map(|unit| format!("`{unit}` failed"));
    findings.problems.extend(failed);
    let version = machine.ask(". /usr/lib/os-release; echo \"$VERSION_ID\"")?;
    findings.expect_equal("the version", version, bench.release().manifest().version.to_string());
    Ok(findings)
}
