//! Runs a program and takes account of it: wall time, processor time of it and its children, peak memory of the whole tree.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// How often memory is sampled. A peak shorter than this may be missed; the kernel's own high-water mark of the program itself
/// is read as well.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What one run of a program cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_secs: f64,
    pub(crate) cpu_secs: f64,
    pub(crate) peak_bytes: u64,
}

/// Runs `command` to its successful end.
pub(crate) fn measure(mut command: Command, what: &str) -> Result<Cost> {
    let cpu_before = children_cpu_secs()?;
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {what}"))?;
    let mut peak_bytes = 0;
    let status = loop {
        peak_bytes = peak_bytes.max(tree_memory_bytes(child.id()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(SAMPLE_EVERY);
    };
    ensure!(status.success(), "{what} ended with {status}");
    Ok(Cost {
        wall_secs: started.elapsed().as_secs_f64(),
        cpu_secs: children_cpu_secs()? - cpu_before,
        peak_bytes,
    })
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

fn tree_memory_bytes(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below: u64 =
        children.split_whitespace().filter_map(|child| child.parse().ok()).map(tree_memory_bytes).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own_kib: Option<u64> = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    own_kib.unwrap_or(0) * 1024 + below
}

/// A table of costs, the first row against which the others are held.
pub(crate) fn table(rows: &[(&str, Cost)]) -> String {
    let mut lines = vec![format!("{:44} {:>9} {:>9} {:>10} {:>7}", "", "wall", "cpu", "memory", "wall ×")];
    let first = rows.first().map_or(1.0, |(_, cost)| cost.wall_secs);
    for (name, cost) in rows {
        let mib = cost.peak_bytes / (1 << 20);
        lines.push(format!(
            "{name:44} {:>7.1} s {:>7.1} s {mib:>6} MiB {:>7.2}",
            cost.wall_secs,
            cost.cpu_secs,
            cost.wall_secs / first
        ));
    }
    lines.join("\n")
}
