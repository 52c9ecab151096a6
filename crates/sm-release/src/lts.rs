//! Long-term streams: until when they are supported, and what they take: patch releases of the kernel, CA certificates and
//! critical fixes. Everything else needs a waiver on record.

use serde::Serialize;
use sm_model::{
    Channel, Date, PackageVersion, Released,
    evidence::{PackageChange, PackageChangeKind},
};

use crate::gate::facts::describe;

/// Months that a stream is supported for.
pub const SUPPORT_MONTHS: i16 = 18;
/// Months for which a stream and the one after it are both supported at least.
pub const OVERLAP_MONTHS: i16 = 6;
/// Days before the end of support on which hosts' owners are told.
pub const NOTICE_DAYS: [i64; 3] = [90, 30, 7];

/// A stream's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Its channel.
    pub channel: Channel,
    /// Its branch.
    pub major: u32,
    /// Day of its first release.
    pub began: Date,
    /// Last day of support.
    pub supported_until: Date,
    /// Day by which the next stream should begin, so that both are supported for [`OVERLAP_MONTHS`].
    pub successor_due: Date,
}

impl Stream {
    /// Whether it is supported on a day.
    pub fn is_supported(&self, day: Date) -> bool {
        day <= self.supported_until
    }

    /// Days on which its end is announced.
    pub fn notices(&self) -> [Date; 3] {
        NOTICE_DAYS.map(|days| self.supported_until.plus_days(-days))
    }
}

/// Every stream of a history, oldest first.
pub fn streams(history: &[Released]) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut releases: Vec<&Released> =
        history.iter().filter(|r| matches!(r.channel, Channel::Lts(_))).collect();
    releases.sort_by_key(|released| (released.date, released.version));
    for released in releases {
        if !streams.iter().any(|stream| stream.channel == released.channel) {
            streams.push(begin(released));
        }
    }
    streams
}

fn begin(first: &Released) -> Stream {
    let began = Date::of(first.date);
    Stream {
        channel: first.channel,
        major: first.version.major,
        began,
        supported_until: plus_months(began, SUPPORT_MONTHS),
        successor_due: plus_months(began, SUPPORT_MONTHS - OVERLAP_MONTHS),
    }
}

/// The same day so many months later, or the last day of that month.
pub fn plus_months(day: Date, months: i16) -> Date {
    let (year, month, of_month) = day.year_month_day();
    let total = i32::from(year) * 12 + i32::from(month) - 1 + i32::from(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let exact = |day: i8| format!("{year:04}-{month:02}-{day:02}").parse().ok();
    (28..=of_month).rev().chain([of_month]).find_map(exact).unwrap_or(day)
}

/// The changes that a stream does not take, each with the reason.
pub fn foreign(changes: &[PackageChange]) -> Vec<String> {
    let kernels = kernels(changes);
    let judge = |change: &PackageChange| judge(change, &kernels).err();
    let told = changes.iter().filter_map(|change| Some((change, judge(change)?)));
    told.map(|(change, why)| format!("{}: {why}", describe(change))).collect()
}

/// Why a stream takes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A patch release of the kernel.
    KernelPatch,
    /// CA certificates.
    CaCertificates,
    /// It fixes vulnerabilities and nothing else.
    SecurityFix,
}

/// Series (`6.12`) of the kernels that go and come.
struct Kernels {
    gone: Vec<String>,
    came: Vec<String>,
}

fn kernels(changes: &[PackageChange]) -> Kernels {
    let series = |change: &PackageChange, version: &Option<PackageVersion>| {
        is_kernel(change).then(|| version.as_ref().and_then(series)).flatten()
    };
    Kernels {
        gone: changes.iter().filter_map(|change| series(change, &change.from)).collect(),
        came: changes.iter().filter_map(|change| series(change, &change.to)).collect(),
    }
}

/// Kernel packages have their version in their name, so that a patch release is one package that goes and one that comes.
fn is_kernel(change: &PackageChange) -> bool {
    ["linux-image-", "linux-modules-", "linux-headers-", "linux-base", "linux-kbuild-"]
        .iter()
        .any(|start| change.name.as_str().starts_with(start))
}

/// `6.12` of `6.12.117-1`: stable kernels of one series get patch releases only.
fn series(version: &PackageVersion) -> Option<String> {
    let upstream = upstream(version);
    let mut fields = upstream.split('.');
    let (major, minor) = (fields.next()?, fields.next()?);
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    (!minor.is_empty()).then(|| format!("{major}.{minor}"))
}

/// The version without epoch and revision (Debian Policy 5.6.12).
fn upstream(version: &PackageVersion) -> &str {
    let text = version.as_str();
    let text = text.split_once(':').map_or(text, |(_, rest)| rest);
    text.rsplit_once('-').map_or(text, |(upstream, _)| upstream)
}

/// Whether a stream takes a change.
fn judge(change: &PackageChange, kernels: &Kernels) -> Result<Reason, &'static str> {
    if is_kernel(change) {
        return kernel(change, kernels);
    }
    if change.name.as_str() == "ca-certificates" && change.kind == PackageChangeKind::Upgraded {
        return Ok(Reason::CaCertificates);
    }
    match change.kind {
        PackageChangeKind::Added => Err("a new package is no fix"),
        PackageChangeKind::Removed => Err("a removed package is no fix"),
        PackageChangeKind::Downgraded => Err("its version falls"),
        PackageChangeKind::Rebuilt => Err("its version is the same and its file is not"),
        PackageChangeKind::Upgraded => fix(change),
    }
}

fn kernel(change: &PackageChange, kernels: &Kernels) -> Result<Reason, &'static str> {
    let own =
        change.to.as_ref().or(change.from.as_ref()).and_then(series).ok_or("its version has no series")?;
    let others = match change.kind {
        PackageChangeKind::Removed => &kernels.came,
        PackageChangeKind::Downgraded => return Err("its version falls"),
        PackageChangeKind::Rebuilt => return Err("its version is the same and its file is not"),
        PackageChangeKind::Added | PackageChangeKind::Upgraded => &kernels.gone,
    };
    if others.iter().all(|other| *other == own) && !others.is_empty() {
        Ok(Reason::KernelPatch)
    } else {
        Err("it is a kernel of another series")
    }
}

/// A fix keeps the upstream version and its changelog names the vulnerabilities.
fn fix(change: &PackageChange) -> Result<Reason, &'static str> {
    let same = change.from.as_ref().map(upstream) == change.to.as_ref().map(upstream);
    match (change.fixes.is_empty(), same) {
        (false, true) => Ok(Reason::SecurityFix),
        (false, false) => Err("it fixes vulnerabilities, but with a new upstream version"),
        (true, _) => Err("its changelog names no vulnerability"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(name: &str, from: &str, to: &str, fixes: &[&str]) -> PackageChange {
        let kind = match (from, to) {
            ("", _) => PackageChangeKind::Added,
            (_, "") => PackageChangeKind::Removed,
            _ if from > to => PackageChangeKind::Downgraded,
            _ => PackageChangeKind::Upgraded,
        };
        let version = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        PackageChange {
            name: name.parse().unwrap(),
            kind,
            from: version(from),
            to: version(to),
            fixes: fixes.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn a_stream_takes_kernels_certificates_and_fixes() {
        let taken = [
            change("linux-image-6.12.117-amd64", "6.12.117-1", "", &[]),
            change("linux-image-6.12.119-amd64", "", "6.12.119-1", &[]),
            change("ca-certificates", "20250419", "20260501", &[]),
            change("openssl", "3.5.4-1~deb13u1", "3.5.4-1~deb13u2", &["CVE-2026-1"]),
        ];
        assert_eq!(foreign(&taken), Vec::<String>::new());
    }

    #[test]
    fn a_stream_takes_nothing_else() {
        let refused = [
            (change("containerd", "1.7.24-1", "2.0.0-1", &["CVE-2026-2"]), "new upstream version"),
            (change("bash", "5.2-1", "5.2-2", &[]), "names no vulnerability"),
            (change("htop", "", "3.4.0-1", &["CVE-2026-3"]), "a new package is no fix"),
            (change("htop", "3.4.0-1", "", &[]), "a removed package"),
            (change("curl", "8.2-2", "8.2-1", &["CVE-2026-4"]), "its version falls"),
            (change("linux-image-7.0.1-amd64", "", "7.0.1-1", &["CVE-2026-5"]), "another series"),
        ];
        for (change, why) in refused {
            let told = foreign(std::slice::from_ref(&change));
            assert!(told.len() == 1 && told[0].contains(why), "{told:?} {why}");
        }
        let jump = [
            change("linux-image-6.12.117-amd64", "6.12.117-1", "", &[]),
            change("linux-image-6.18.2-amd64", "", "6.18.2-1", &[]),
        ];
        assert_eq!(foreign(&jump).len(), 2);
    }

    #[test]
    fn support_ends_after_18_months_and_is_announced() {
        let first = |year, date: &str, version: &str| Released {
            date: format!("{date}T12:00:00Z").parse().unwrap(),
            channel: Channel::Lts(year),
            version: version.parse().unwrap(),
        };
        let history = [
            first(2026, "2026-08-31", "4593.3.0"),
            first(2024, "2024-11-20", "4081.3.0"),
            first(2024, "2025-01-01", "4081.3.1"),
        ];
        let streams = streams(&history);
        let told: Vec<String> = streams
            .iter()
            .map(|s| format!("{} {} {} {}", s.channel, s.major, s.supported_until, s.successor_due))
            .collect();
        assert_eq!(told, ["lts-2024 4081 2026-05-20 2025-11-20", "lts-2026 4593 2028-02-29 2027-08-31"]);
        assert!(streams[0].is_supported(streams[0].supported_until));
        assert_eq!(
            streams[1].notices().map(|day| day.to_string()),
            ["2027-12-01", "2028-01-30", "2028-02-22"]
        );
    }

    proptest! {
        #[test]
        fn a_new_upstream_version_is_never_taken_outside_of_kernel_and_certificates(
            a in 1..50_u32, b in 1..50_u32, fixed: bool,
        ) {
            prop_assume!(a < b);
            let fixes: &[&str] = if fixed { &["CVE-2026-1"] } else { &[] };
            let mut change = change("systemd", "257-1", "257-2", fixes);
            change.from = Some(format!("{a}-1").parse().unwrap());
            change.to = Some(format!("{b}-1").parse().unwrap());
            prop_assert_eq!(foreign(&[change]).len(), 1);
        }
    }
}
