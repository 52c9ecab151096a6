//! `calendar.toml`: from which day versions count, how often releases are due, and when nothing is published.

use std::collections::BTreeMap;

use sm_model::{Channel, Date};

use super::text::{Problem, Reader, Section};
use crate::{
    calendar::{CADENCE_DAYS, Freeze},
    office_hours::OfficeHours,
};

/// What the file says about days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days {
    /// Day that MAJOR counts from.
    pub epoch: Date,
    /// Days between releases, where a channel differs from the default.
    pub cadence_days: BTreeMap<Channel, i64>,
    /// Spans without publishing: freezes and holidays.
    pub freezes: Vec<Freeze>,
    /// When office hours are.
    pub office_hours: OfficeHours,
}

impl Default for Days {
    fn default() -> Self {
        let epoch = "2013-07-01".parse().expect("the literal is a date");
        let office_hours = OfficeHours::default();
        Days { epoch, cadence_days: BTreeMap::new(), freezes: Vec::new(), office_hours }
    }
}

impl Days {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with lines.
    pub fn parse(text: &str) -> Result<Days, Vec<Problem>> {
        Reader::read(text, |root, reader| {
            let mut days = Days::default();
            if let Some(at) = root.date("epoch", reader) {
                days.epoch = at.value;
            }
            if let Some(at) = root.parsed("office-hours", reader) {
                days.office_hours = at.value;
            }
            cadence(root, &mut days, reader);
            for mut section in root.tables("freeze", reader) {
                days.freezes.extend(freeze(&mut section, reader));
                section.finish(reader);
            }
            for mut section in root.tables("holiday", reader) {
                days.freezes.extend(holiday(&mut section, reader));
                section.finish(reader);
            }
            days.freezes.sort_by_key(|freeze| (freeze.from, freeze.until));
            days
        })
    }

    /// Days between releases of a channel.
    pub fn cadence(&self, channel: Channel) -> i64 {
        self.cadence_days.get(&channel).copied().unwrap_or(CADENCE_DAYS)
    }
}

fn cadence(root: &mut Section<'_, '_>, days: &mut Days, reader: &mut Reader<'_>) {
    for mut section in root.tables("cadence", reader) {
        let channel = section.required::<Channel>("channel", reader);
        let n_days = section.integer("days", reader);
        match n_days {
            Some(at) if !(1..=366).contains(&at.value) => {
                reader.note(at.offset, format!("the cadence is {} days, expected 1 to 366", at.value));
            }
            Some(at) => drop(channel.map(|channel| days.cadence_days.insert(channel.value, at.value))),
            None => reader.note(section.offset(), "`days` is missing"),
        }
        section.finish(reader);
    }
}

fn freeze(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Option<Freeze> {
    let (from, until) = (section.date("from", reader), section.date("until", reader));
    let reason = section.required::<String>("reason", reader);
    if from.is_none() || until.is_none() {
        reader.note(section.offset(), "a freeze has two days: `from` and `until`");
    }
    let (from, until) = (from?, until?);
    if until.value < from.value {
        reader.note(until.offset, "the freeze ends before it begins");
    }
    Some(Freeze { from: from.value, until: until.value, reason: reason?.value })
}

fn holiday(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Option<Freeze> {
    let day = section.date("day", reader);
    let name = section.required::<String>("name", reader);
    if day.is_none() {
        reader.note(section.offset(), "`day` is missing");
    }
    let day = day?.value;
    Some(Freeze { from: day, until: day, reason: name?.value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freezes_and_holidays_are_read_in_order() {
        let days = Days::parse(
            "epoch = 2020-01-01\noffice-hours = \"last monday 9:00\"\n[[cadence]]\nchannel = \"stable\"\ndays = 28\n\
             [[holiday]]\nday = 2027-01-06\nname = \"Epiphany\"\n\
             [[freeze]]\nfrom = 2026-12-21\nuntil = 2027-01-03\nreason = \"winter\"\n",
        )
        .unwrap();
        assert_eq!((days.cadence(Channel::Stable), days.cadence(Channel::Beta)), (28, 14));
        assert_eq!(days.epoch.to_string(), "2020-01-01");
        assert_eq!(days.office_hours, "last monday 9:00".parse().unwrap());
        let reasons: Vec<_> = days.freezes.iter().map(|freeze| freeze.reason.as_str()).collect();
        assert_eq!(reasons, ["winter", "Epiphany"]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "epoch = 5\n[[cadence]]\nchannel = \"gamma\"\ndays = 0\n[[freeze]]\nfrom = 2026-12-21\n\
                    until = 2026-12-01\n[[holiday]]\nname = \"x\"\n";
        let problems: Vec<String> = Days::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        for part in ["1:9", "3:11", "4:8", "5:1", "7:9", "8:1"] {
            assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part} in {problems:#?}");
        }
    }
}
