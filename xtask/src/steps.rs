//! The test run: every step in order, each with its verdict, none skipped in silence.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    cargo::{cargo, must, program, release_programs},
    release::{self, Extent},
    sabotage, tidy,
};

/// Prints one line for people.
pub(crate) fn say(line: &str) {
    // Without a terminal or log to write to, the exit code still speaks.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

type Step = (&'static str, fn() -> Result<()>);

const WITHOUT_VM: [Step; 5] = [
    ("format", || must(cargo(["fmt", "--all", "--check"]), "cargo fmt")),
    ("lints", || {
        must(
            cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
            "cargo clippy",
        )
    }),
    ("tidy", tidy::check),
    ("tests", || must(cargo(["test", "--workspace", "--locked"]), "cargo test")),
    ("documentation", documentation),
];

const VM: Step = ("boot and update in a VM", vm_smoke);
const ROOM: Step = ("votes in a real Matrix room", || {
    let test =
        ["test", "-p", "sm-matrix", "--features", "real-homeserver", "--test", "homeserver", "--locked"];
    must(cargo(test), "the test against a real homeserver")
});
const SOME_RELEASE_TESTS: Step = ("release tests: offline, shared", || release::test(Extent::Some));
const ALL_RELEASE_TESTS: Step = ("release tests: all", || release::test(Extent::All));
const SABOTAGE: Step = ("images broken on purpose", sabotage::step);

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// Nothing that needs a machine, nor a release. It does not count as passed.
    NoVm,
    /// What every change has to pass.
    Usual,
    /// Also a room of a real homeserver, every test of the release suite, and images that each of them must fail at.
    Full,
}

/// Runs the steps. Passes only when every step ran and passed.
pub(crate) fn test(how: Run) -> Result<ExitCode> {
    let with_vm = match how {
        Run::NoVm | Run::Usual => vec![VM, SOME_RELEASE_TESTS],
        Run::Full => vec![ROOM, VM, ALL_RELEASE_TESTS, SABOTAGE],
    };
    let mut results: Vec<_> = WITHOUT_VM.into_iter().map(run).collect();
    if how == Run::NoVm {
        let names: Vec<&str> = with_vm.iter().map(|(name, _)| *name).collect();
        return report(&results, &names);
    }
    results.extend(with_vm.into_iter().map(run));
    report(&results, &[])
}

/// Runs the house rules alone.
pub(crate) fn tidy_only() -> Result<ExitCode> {
    report(&[run(("tidy", tidy::check))], &[])
}

struct Verdict {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

fn run((name, work): Step) -> Verdict {
    say(&format!("── {name}"));
    let started = Instant::now();
    let failure = work().err().map(|error| format!("{error:#}"));
    if let Some(reason) = &failure {
        say(&format!("── {name} failed: {reason}"));
    }
    Verdict { name, took: started.elapsed(), failure }
}

fn report(verdicts: &[Verdict], not_run: &[&str]) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{:32} {:8} {:>8}", "step", "verdict", "time")?;
    for verdict in verdicts {
        let word = if verdict.failure.is_none() { "passed" } else { "FAILED" };
        writeln!(out, "{:32} {word:8} {:6.1} s", verdict.name, verdict.took.as_secs_f64())?;
    }
    for name in not_run {
        writeln!(out, "{name:32} {:8}", "NOT RUN")?;
    }
    let n_failed = verdicts.iter().filter(|verdict| verdict.failure.is_some()).count() + not_run.len();
    writeln!(out, "{} passed, {n_failed} failed", verdicts.iter().filter(|v| v.failure.is_none()).count())?;
    Ok(if n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn documentation() -> Result<()> {
    let mut doc = cargo(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    // Pages for developers of this workspace: they may name what is private.
    doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    must(doc, "cargo doc")
}

fn vm_smoke() -> Result<()> {
    let programs = release_programs()?;
    let mut demo = program(&programs.join("stationmaster"));
    demo.args(["demo", "--smoke"]);
    must(demo, "stationmaster demo --smoke")
}
