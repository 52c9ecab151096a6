//! Soak: for how long a branch, and every watched component in its very version, has been used in the channel below.
//!
//! A fix in the channel below starts its own component's clock anew and leaves the others running.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use sm_model::{Channel, PackageName, PackageVersion, Released, Timestamp, Version};

use crate::{gate::facts::Finding, rules::matches, version::newest};

const DAY_SECS: i64 = 24 * 60 * 60;

/// Packages of releases that were published, by version. Releases of before our time have none.
pub type Contents = BTreeMap<Version, Packages>;

/// Packages by name and version. Versions have no order here, so neither has the set.
pub type Packages = HashSet<(PackageName, PackageVersion)>;

/// The channel that branches come up from, by LEVEL.
fn is_below(lower: Channel, channel: Channel) -> bool {
    lower.level() + 1 == channel.level()
}

/// When a branch was first released in the channel below.
pub fn since(history: &[Released], channel: Channel, major: u32) -> Option<Timestamp> {
    let below = history.iter().filter(|r| is_below(r.channel, channel) && r.version.major == major);
    below.map(|released| released.date).min()
}

/// Days that a branch usually soaks in the channel below before it comes up: what is proposed, not what a gate asks for.
pub const fn usual_days(channel: Channel) -> i64 {
    match channel {
        Channel::Alpha => 0,
        Channel::Beta => 14,
        Channel::Stable => 28,
        Channel::Lts(_) => 90,
    }
}

/// Whole days from then to now; 0 when then lies ahead.
pub fn days(then: Timestamp, now: Timestamp) -> i64 {
    now.secs_since(then).div_euclid(DAY_SECS).max(0)
}

/// A watched component and how long it has soaked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentSoak {
    /// Package.
    pub package: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Whole days; `None` when the channel below never had it.
    pub days: Option<i64>,
}

/// How long each watched component among `packages` has soaked in the channel below or the channel itself, shortest first.
pub fn components(
    history: &[Released],
    contents: &Contents,
    channel: Channel,
    packages: &Packages,
    watched: &[String],
    now: Timestamp,
) -> Vec<ComponentSoak> {
    let is_watched = |name: &PackageName| watched.iter().any(|pattern| matches(pattern, name.as_str()));
    let first = |package: &(PackageName, PackageVersion)| {
        // What the channel itself has had is no news to it.
        let used = history.iter().filter(|r| is_below(r.channel, channel) || r.channel == channel);
        let with = used.filter(|r| contents.get(&r.version).is_some_and(|c| c.contains(package)));
        with.map(|released| released.date).min()
    };
    let soaked = packages.iter().filter(|(name, _)| is_watched(name)).map(|package| ComponentSoak {
        package: package.0.clone(),
        version: package.1.clone(),
        days: first(package).map(|then| days(then, now)),
    });
    let mut soaked: Vec<ComponentSoak> = soaked.collect();
    soaked.sort_by(|a, b| (a.days, &a.package).cmp(&(b.days, &b.package)));
    soaked
}

/// The shortest soak of all components, as a fact: a component that the channel below never had has soaked for 0 days.
pub fn shortest(components: &[ComponentSoak]) -> Option<Finding> {
    let shortest = components.first()?;
    let value = shortest.days.unwrap_or(0);
    let young = components.iter().take_while(|component| component.days.unwrap_or(0) == value);
    let items = young.map(|component| format!("{} {}", component.package, component.version)).collect();
    Some(Finding::Value { value, items })
}

/// A branch that could come up into a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promotable {
    /// The branch.
    pub major: u32,
    /// Its newest release in the channel below.
    pub newest: Version,
    /// Whole days since its first release there.
    pub days: i64,
    /// Its watched components, shortest soak first; empty when its packages are not known.
    pub components: Vec<ComponentSoak>,
}

/// Branches that are in the channel below, newer than what the channel has, newest first.
pub fn promotable(
    history: &[Released],
    contents: &Contents,
    channel: Channel,
    watched: &[String],
    now: Timestamp,
) -> Vec<Promotable> {
    let current = newest(history, channel).map_or(0, |version| version.major);
    let below = history.iter().filter(|r| is_below(r.channel, channel) && r.version.major > current);
    let majors: BTreeSet<u32> = below.map(|released| released.version.major).collect();
    let promotable = |major: u32| {
        let of_branch = history.iter().filter(|r| is_below(r.channel, channel) && r.version.major == major);
        let newest = of_branch.map(|released| released.version).max()?;
        let packages = contents.get(&newest).cloned().unwrap_or_default();
        Some(Promotable {
            major,
            newest,
            days: days(since(history, channel, major)?, now),
            components: components(history, contents, channel, &packages, watched, now),
        })
    };
    majors.into_iter().rev().filter_map(promotable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(day: i64, channel: Channel, version: &str) -> Released {
        Released {
            date: Timestamp::from_unix_secs(day * DAY_SECS).unwrap(),
            channel,
            version: version.parse().unwrap(),
        }
    }

    fn packages(kernel: &str, systemd: &str) -> Packages {
        let kernel =
            (format!("linux-image-{kernel}").parse().unwrap(), format!("{kernel}-1").parse().unwrap());
        let systemd = ("systemd".parse().unwrap(), systemd.parse().unwrap());
        [kernel, systemd, ("bash".parse().unwrap(), "5.2-1".parse().unwrap())].into()
    }

    fn world() -> (Vec<Released>, Contents) {
        let history = vec![
            released(100, Channel::Alpha, "4890.0.0"),
            released(110, Channel::Alpha, "4900.0.0"),
            released(120, Channel::Alpha, "4890.0.1"),
            released(90, Channel::Beta, "4880.1.0"),
        ];
        let contents = [
            ("4890.0.0".parse().unwrap(), packages("6.12.1", "257-1")),
            ("4890.0.1".parse().unwrap(), packages("6.12.2", "257-1")),
        ];
        (history, contents.into())
    }

    #[test]
    fn a_fix_restarts_its_own_component_only() {
        let (history, contents) = world();
        let watched = ["linux-image-*".to_owned(), "systemd".to_owned()];
        let now = Timestamp::from_unix_secs(130 * DAY_SECS).unwrap();
        let found = promotable(&history, &contents, Channel::Beta, &watched, now);
        let told: Vec<_> = found.iter().map(|p| (p.major, p.newest.to_string(), p.days)).collect();
        assert_eq!(told, [(4900, "4900.0.0".to_owned(), 20), (4890, "4890.0.1".to_owned(), 30)]);
        let soaked: Vec<_> =
            found[1].components.iter().map(|c| (c.package.as_str().to_owned(), c.days)).collect();
        assert_eq!(soaked, [("linux-image-6.12.2".to_owned(), Some(10)), ("systemd".to_owned(), Some(30))]);
        assert_eq!(
            shortest(&found[1].components),
            Some(Finding::Value { value: 10, items: vec!["linux-image-6.12.2 6.12.2-1".to_owned()] })
        );
    }

    #[test]
    fn a_component_that_nobody_below_has_used_has_not_soaked() {
        let (history, contents) = world();
        let now = Timestamp::from_unix_secs(130 * DAY_SECS).unwrap();
        let fresh = packages("6.12.9", "257-1");
        let watched = ["linux-image-*".to_owned()];
        let soaked = components(&history, &contents, Channel::Beta, &fresh, &watched, now);
        assert_eq!((soaked.len(), soaked[0].days), (1, None));
        assert!(matches!(shortest(&soaked), Some(Finding::Value { value: 0, .. })));
        assert_eq!(shortest(&[]), None);
    }

    #[test]
    fn what_a_channel_has_or_passed_over_does_not_come_up() {
        let (history, contents) = world();
        let now = Timestamp::from_unix_secs(130 * DAY_SECS).unwrap();
        let mut later = history.clone();
        later.push(released(125, Channel::Beta, "4900.1.0"));
        assert_eq!(promotable(&later, &contents, Channel::Beta, &[], now), []);
        let majors: Vec<_> =
            promotable(&later, &contents, Channel::Stable, &[], now).iter().map(|p| p.major).collect();
        assert_eq!(majors, [4900, 4880]);
    }
}
