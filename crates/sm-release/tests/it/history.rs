//! Our version rules held against the real history of a distribution that numbers its releases the same way.

use std::collections::BTreeMap;

use sm_model::Channel;
use sm_release::version::{Difference, Released, explain};

/// Year of the LTS stream that a branch became (Flatcar's own names of the streams).
fn lts_year(major: u32) -> u16 {
    match major {
        2605 => 2021,
        3033 => 2022,
        3510 => 2023,
        4081 => 2024,
        _ => 2026,
    }
}

struct History {
    released: Vec<Released>,
    /// Lines that are no version or channel of ours.
    foreign: Vec<&'static str>,
}

fn history() -> History {
    let mut history = History { released: Vec::new(), foreign: Vec::new() };
    for line in include_str!("../data/flatcar-history.txt").lines() {
        match parse(line) {
            Some(released) => history.released.push(released),
            None => history.foreign.push(line),
        }
    }
    history
}

fn parse(line: &str) -> Option<Released> {
    let [date, channel, version] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let version: sm_model::Version = version.parse().ok()?;
    let channel = match channel {
        "lts" => Channel::Lts(lts_year(version.major)),
        other => other.parse().ok()?,
    };
    Some(Released { date: format!("{date}T00:00:00Z").parse().ok()?, channel, version })
}

fn name(difference: Difference) -> &'static str {
    match difference {
        Difference::LevelOfAnotherChannel => "level of another channel",
        Difference::UsedTwice => "used twice",
        Difference::Falls { .. } => "falls",
        Difference::PatchGap { .. } => "patch gap",
        Difference::EntersAbovePatchZero => "enters above patch 0",
        Difference::NeverBelow => "never below",
    }
}

/// Releases between two dates that differ from the rules, in words.
fn differences(from: &str, until: &str) -> Vec<(String, &'static str)> {
    let released = history().released;
    let within = |r: &Released| (from..until).contains(&r.date.to_string().as_str());
    let each = released.iter().enumerate().filter(|(_, r)| within(r));
    each.filter_map(|(idx, r)| Some((r.version.to_string(), name(explain(&released[..idx], r).err()?))))
        .collect()
}

#[test]
fn every_line_of_the_history_is_accounted_for() {
    let History { released, foreign } = history();
    let [edge, lts]: [Vec<&str>; 2] =
        [" edge ", " lts "].map(|word| foreign.iter().copied().filter(|line| line.contains(word)).collect());
    // The retired edge channel (LEVEL 99), and the branches of before February 2021 and the first LTS stream, whose LEVEL
    // rose with each release (2605.12.0, 2605.22.1).
    assert_eq!((released.len(), foreign.len(), edge.len(), lts.len()), (445, 95, 27, 22));
}

#[test]
fn since_2021_every_release_numbered_in_four_levels_follows_the_rules() {
    assert_eq!(differences("2021", "9999"), []);
}

/// Before that, PATCH could be above 0 on entering a channel, and LEVEL rose beyond the channel's.
#[test]
fn releases_before_2021_follow_an_older_numbering() {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, name) in differences("2018", "2021") {
        *counts.entry(name).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().collect();
    assert_eq!(counts, [("enters above patch 0", 6), ("level of another channel", 60), ("never below", 1)]);
}
