//! A difference as text of 80 columns.

use std::fmt::{self, Write as _};

use sm_debian::ChangeKind;

use super::{Diff, FileChange, OptionChange, PackageDelta, SizeChange, SourceChange};

const WIDTH: usize = 80;
/// CVE ids named of one source package.
const MAX_IDS: usize = 20;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (&self.old, &self.new);
        write!(f, "{} {} {}", new.os, new.channel, new.board)?;
        if (old.channel, old.board) != (new.channel, new.board) {
            write!(f, " (was {} {})", old.channel, old.board)?;
        }
        writeln!(f, ": {} → {}", old.version, new.version)?;
        packages(f, self)?;
        security(f, &self.sources)?;
        images(f, &self.images)?;
        files(f, self)?;
        kernel(f, self)
    }
}

fn heading(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "\n{text}")
}

fn packages(f: &mut fmt::Formatter<'_>, diff: &Diff) -> fmt::Result {
    let count = |kind| diff.count(kind);
    let summary = format!(
        "Packages: {} added, {} removed, {} upgraded, {} downgraded, {} rebuilt",
        count(ChangeKind::Added),
        count(ChangeKind::Removed),
        count(ChangeKind::Upgraded),
        count(ChangeKind::Downgraded),
        count(ChangeKind::Rebuilt),
    );
    heading(f, &summary)?;
    diff.packages.iter().try_for_each(|package| package_line(f, package))
}

fn package_line(f: &mut fmt::Formatter<'_>, package: &PackageDelta) -> fmt::Result {
    let change = &package.change;
    let version = |version: &Option<sm_model::PackageVersion>| {
        version.as_ref().map_or(String::new(), ToString::to_string)
    };
    let (old, new) = (version(&change.old), version(&change.new));
    let (mark, versions) = match change.kind {
        ChangeKind::Added => ('+', new),
        ChangeKind::Removed => ('-', old),
        ChangeKind::Upgraded => ('↑', format!("{old} → {new}")),
        ChangeKind::Downgraded => ('↓', format!("{old} → {new}")),
        ChangeKind::Rebuilt => ('≠', format!("{new}, another file")),
    };
    two_columns(f, &format!("  {mark} {}", change.name), &versions, 30)
}

/// A name and what is said of it: beside it where both fit, below it where not.
fn two_columns(f: &mut fmt::Formatter<'_>, left: &str, right: &str, column: usize) -> fmt::Result {
    let (left_len, right_len) = (left.chars().count(), right.chars().count());
    let start = column.max(left_len + 1);
    if start + right_len <= WIDTH {
        writeln!(f, "{left:<start$}{right}")
    } else {
        writeln!(f, "{left}")?;
        right
            .split(" → ")
            .enumerate()
            .try_for_each(|(index, part)| writeln!(f, "      {}{part}", if index == 0 { "" } else { "→ " }))
    }
}

fn security(f: &mut fmt::Formatter<'_>, sources: &[SourceChange]) -> fmt::Result {
    let fixed: Vec<_> = sources.iter().filter(|source| !source.cves.is_empty()).collect();
    let mut ids: Vec<_> = fixed.iter().flat_map(|source| &source.cves).collect();
    ids.sort();
    ids.dedup();
    let sources_word = if fixed.len() == 1 { "source package" } else { "source packages" };
    let summary = format!("CVE ids: {} named by the changelogs of {} {sources_word}", ids.len(), fixed.len());
    heading(f, &summary)?;
    for source in fixed {
        two_columns(f, &format!("  {}", source.source), &format!("{} → {}", source.old, source.new), 30)?;
        let n = source.cves.len();
        // The newest first: a kernel names a thousand, and those are what people look for.
        wrapped(f, source.cves.iter().rev().take(MAX_IDS).map(ToString::to_string))?;
        if n > MAX_IDS {
            writeln!(f, "    … and {} more, which --json names", n - MAX_IDS)?;
        }
    }
    let unknown = sources.iter().filter(|source| !source.is_complete).map(|source| source.source.as_str());
    let unknown: Vec<_> = unknown.collect();
    if !unknown.is_empty() {
        writeln!(f, "  Changelogs that do not reach back to the older version:")?;
        wrapped(f, unknown.into_iter().map(str::to_owned))?;
    }
    Ok(())
}

/// Words in lines that fit.
fn wrapped(f: &mut fmt::Formatter<'_>, words: impl Iterator<Item = String>) -> fmt::Result {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && 4 + line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "    {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if line.is_empty() { Ok(()) } else { writeln!(f, "    {line}") }
}

fn images(f: &mut fmt::Formatter<'_>, images: &[SizeChange]) -> fmt::Result {
    heading(f, "Images")?;
    for image in images {
        let size = |bytes: Option<u64>| bytes.map_or("–".to_owned(), size);
        let (old, new) = (size(image.old_bytes), size(image.new_bytes));
        let grown = match (image.old_bytes, image.new_bytes) {
            (Some(old), Some(new)) => signed_size(difference(old, new)),
            _ => String::new(),
        };
        writeln!(f, "  {:<39} {old:>10} → {new:>10} {grown:>12}", image.name)?;
    }
    Ok(())
}

fn files(f: &mut fmt::Formatter<'_>, diff: &Diff) -> fmt::Result {
    let files = &diff.files;
    let summary = format!(
        "Files: {} added, {} removed, {} changed; {} → {} ({})",
        files.n_added,
        files.n_removed,
        files.n_changed,
        size(files.old_bytes),
        size(files.new_bytes),
        signed_size(difference(files.old_bytes, files.new_bytes)),
    );
    heading(f, &summary)?;
    let sorts = [
        ("added", &files.added, files.n_added),
        ("removed", &files.removed, files.n_removed),
        ("grown", &files.grown, files.grown.len()),
        ("shrunk", &files.shrunk, files.shrunk.len()),
    ];
    for (sort, list, of) in sorts {
        if list.is_empty() {
            continue;
        }
        let note = if list.len() < of { format!(" (largest {} of {of})", list.len()) } else { String::new() };
        writeln!(f, "  {sort}{note}")?;
        list.iter().try_for_each(|change| file_line(f, change))?;
    }
    Ok(())
}

fn file_line(f: &mut fmt::Formatter<'_>, change: &FileChange) -> fmt::Result {
    writeln!(f, "  {:>12}  {}", signed_size(change.grown_bytes()), shortened(&change.path, WIDTH - 16))
}

/// The path with its middle left out where it is too long.
fn shortened(path: &str, width: usize) -> String {
    let n_chars = path.chars().count();
    if n_chars <= width {
        return path.to_owned();
    }
    let kept = width - 1;
    let head: String = path.chars().take(kept / 3).collect();
    let tail: String = path.chars().skip(n_chars - (kept - kept / 3)).collect();
    format!("{head}…{tail}")
}

fn kernel(f: &mut fmt::Formatter<'_>, diff: &Diff) -> fmt::Result {
    let (old, new) = (&diff.old.kernel, &diff.new.kernel);
    let release = if old == new { new.clone() } else { format!("{old} → {new}") };
    heading(f, &format!("Kernel: {release}"))?;
    let options = &diff.kernel_config;
    let counted = match options.len() {
        0 => "no option differs".to_owned(),
        1 => "one option differs".to_owned(),
        n => format!("{n} options differ"),
    };
    writeln!(f, "  build configuration: {counted}")?;
    options.iter().try_for_each(|option| option_line(f, option))
}

fn option_line(f: &mut fmt::Formatter<'_>, option: &OptionChange) -> fmt::Result {
    let value = |value: &Option<String>| shortened(value.as_deref().unwrap_or("absent"), 24);
    let values = format!("{} → {}", value(&option.old), value(&option.new));
    two_columns(f, &format!("    {}", option.option), &values, 50)
}

fn difference(old: u64, new: u64) -> i64 {
    let clamp = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    clamp(new).saturating_sub(clamp(old))
}

/// Bytes for people: `128.3 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let unit = (1..UNITS.len()).take_while(|unit| bytes >> (10 * (unit + 1)) != 0).count();
    let tenths = (u128::from(bytes) * 10) >> (10 * (unit + 1));
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn signed_size(bytes: i64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match bytes {
        0 => write!(text, "±0 B"),
        1.. => write!(text, "+{}", size(bytes.unsigned_abs())),
        _ => write!(text, "-{}", size(bytes.unsigned_abs())),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let told = [0, 1023, 1024, 1_536, 134_533_000, 1 << 40, u64::MAX].map(size);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "128.3 MiB", "1.0 TiB", "16777215.9 TiB"]);
        assert_eq!([signed_size(-2048), signed_size(0), signed_size(10)], ["-2.0 KiB", "±0 B", "+10 B"]);
    }

    #[test]
    fn long_paths_keep_both_ends() {
        assert_eq!(shortened("/usr/lib/modules/KERNEL/kernel/x.ko", 16), "/usr/…ernel/x.ko");
        assert_eq!(shortened("/usr", 16), "/usr");
    }
}
