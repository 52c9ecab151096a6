//! Runs programs and takes account of them: wall time, processor time of them and their children, peak memory of the whole tree.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::Manner;
use crate::{cargo::program, steps::say};

/// How often memory is sampled. A peak shorter than this may be missed.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What one run of a program cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) wall_secs: f64,
    pub(super) cpu_secs: f64,
    /// Resident memory of all its processes together, at its highest.
    pub(super) peak_bytes: u64,
}

/// One side of a comparison.
pub(super) struct Side<'a> {
    /// What is told of it.
    pub(super) name: &'a str,
    /// Makes everything ready for one run, unmeasured.
    pub(super) prepare: &'a dyn Fn() -> Result<()>,
    /// The run.
    pub(super) command: &'a dyn Fn() -> Command,
}

/// A program held to the processors of the comparison.
pub(super) fn pinned(cpus: &str, path: &Path) -> Command {
    let mut command = program(Path::new("taskset"));
    command.arg("-c").arg(cpus).arg(path);
    command
}

/// Runs the sides in turns, so that a machine that slows down slows all of them; gives each side's costs in order.
pub(super) fn in_turns(sides: &[Side<'_>], manner: &Manner) -> Result<Vec<Vec<Cost>>> {
    let mut costs = vec![Vec::new(); sides.len()];
    for run in 1..=manner.runs.max(1) {
        for (side, costs) in sides.iter().zip(&mut costs) {
            (side.prepare)()?;
            let cost = measure((side.command)(), side.name)?;
            say(&format!("run {run}: {} {:.1} s", side.name, cost.wall_secs));
            costs.push(cost);
        }
    }
    Ok(costs)
}

/// The median of each account by itself.
pub(super) fn median(costs: &[Cost]) -> Result<Cost> {
    let of = |account: fn(&Cost) -> f64| -> Option<f64> {
        let mut all: Vec<f64> = costs.iter().map(account).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let (Some(wall_secs), Some(cpu_secs)) = (of(|cost| cost.wall_secs), of(|cost| cost.cpu_secs)) else {
        bail!("nothing was measured");
    };
    // The highest of all runs: a limit is held every time or not at all.
    let peak_bytes = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default();
    Ok(Cost { wall_secs, cpu_secs, peak_bytes })
}

/// Runs `command` to its successful end.
fn measure(mut command: Command, what: &str) -> Result<Cost> {
    let cpu_before = children_cpu_secs()?;
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {what}"))?;
    let peak_bytes = watch(&mut child)?;
    let wall_secs = started.elapsed().as_secs_f64();
    let status = child.wait()?;
    ensure!(status.success(), "{what} ended with {status}");
    Ok(Cost { wall_secs, cpu_secs: children_cpu_secs()? - cpu_before, peak_bytes })
}

/// Waits for the end; gives the most memory that was seen in use.
fn watch(child: &mut Child) -> Result<u64> {
    let mut peak_bytes = 0;
    while child.try_wait()?.is_none() {
        peak_bytes = peak_bytes.max(tree_memory_bytes(child.id()));
        std::thread::sleep(SAMPLE_EVERY);
    }
    Ok(peak_bytes)
}

/// Processor time of all children this process has waited for (proc(5), `/proc/self/stat`, fields 16 and 17).
fn children_cpu_secs() -> Result<f64> {
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').context("/proc/self/stat has no program name")?;
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SEC)
}

/// Resident memory of a process and of all that it, or any of its threads, started.
fn tree_memory_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own_kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(kib);
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let children: Vec<u32> = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    own_kib.unwrap_or(0) * 1024 + children.into_iter().map(tree_memory_bytes).sum::<u64>()
}

fn kib(field: &str) -> Option<u64> {
    field.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(wall_secs: f64, peak_bytes: u64) -> Cost {
        Cost { wall_secs, cpu_secs: wall_secs * 2.0, peak_bytes }
    }

    #[test]
    fn times_are_medians_and_memory_is_the_highest() {
        let costs = [cost(9.0, 5), cost(1.0, 7), cost(2.0, 6)];
        assert_eq!(median(&costs).unwrap(), Cost { wall_secs: 2.0, cpu_secs: 4.0, peak_bytes: 7 });
        assert!(median(&[]).is_err());
    }

    #[test]
    fn what_a_programs_children_do_counts() {
        let mut command = program(Path::new("/bin/sh"));
        command.args(["-c", "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); exit 0"]);
        let cost = measure(command, "a loop").unwrap();
        assert!(cost.cpu_secs > 0.0 && cost.peak_bytes > 0, "{cost:?}");
        assert!(measure(program(Path::new("/bin/false")), "nothing").is_err());
    }
}
