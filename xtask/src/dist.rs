//! Builds what a user installs: programs, man pages, shell completions.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};

use crate::cargo::{cargo, must, program, release_programs};

/// Fills `out` with `bin/`, `share/man/man1/` and `share/completions/`.
pub(crate) fn run(out: &Path) -> Result<ExitCode> {
    let programs = release_programs()?;
    let bin = out.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot create `{}`", bin.display()))?;
    for name in ["stationmaster", "stationmaster-agent"] {
        let target = bin.join(name);
        fs::copy(programs.join(name), &target)
            .with_context(|| format!("cannot write `{}`", target.display()))?;
    }
    let out = fs::canonicalize(out)?;
    let mut manual = program(&programs.join("stationmaster"));
    manual.arg("manual").arg(&out);
    must(manual, "stationmaster manual")?;
    let mut agent_manual =
        cargo(["run", "--quiet", "--release", "--locked", "-p", "sm-agent", "--example", "manual", "--"]);
    agent_manual.arg(&out);
    must(agent_manual, "the agent's manual")?;
    crate::steps::say(&format!("distribution in `{}`", out.display()));
    Ok(ExitCode::SUCCESS)
}
