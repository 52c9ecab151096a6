//! The calendar as a feed that people subscribe to: iCalendar (RFC 5545), all days in UTC.

use sm_model::{Date, Timestamp};

/// One entry of the feed: whole days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Names the entry for good, so that a change moves it instead of adding another: `due-stable-2026-12-09`.
    pub id: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
    /// Its line in the calendar.
    pub title: String,
    /// More words.
    pub text: String,
}

/// Octets of a line at most, without its end (RFC 5545, section 3.1).
const MAX_LINE_OCTETS: usize = 75;

/// The feed. `stamp` is when it was made; the same entries and stamp give the same bytes.
pub fn render(name: &str, entries: &[Entry], stamp: Timestamp) -> String {
    let mut out = String::new();
    line(&mut out, "BEGIN:VCALENDAR");
    line(&mut out, "VERSION:2.0");
    line(&mut out, "PRODID:-//Stationmaster//release calendar//EN");
    line(&mut out, &format!("X-WR-CALNAME:{}", text(name)));
    for entry in entries {
        line(&mut out, "BEGIN:VEVENT");
        line(&mut out, &format!("UID:{}@stationmaster", text(&entry.id)));
        line(&mut out, &format!("DTSTAMP:{}", instant(stamp)));
        line(&mut out, &format!("DTSTART;VALUE=DATE:{}", day(entry.from)));
        // The end of whole days is the day after the last (RFC 5545, section 3.6.1).
        line(&mut out, &format!("DTEND;VALUE=DATE:{}", day(entry.until.plus_days(1))));
        line(&mut out, &format!("SUMMARY:{}", text(&entry.title)));
        if !entry.text.is_empty() {
            line(&mut out, &format!("DESCRIPTION:{}", text(&entry.text)));
        }
        line(&mut out, "TRANSP:TRANSPARENT");
        line(&mut out, "END:VEVENT");
    }
    line(&mut out, "END:VCALENDAR");
    out
}

/// Escapes a text value (RFC 5545, section 3.3.11). Control characters have no place in one.
fn text(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes a content line, folded so that no line is longer than 75 octets and no character is cut (RFC 5545, section 3.1).
fn line(out: &mut String, content: &str) {
    let mut n_octets = 0;
    for c in content.chars() {
        if n_octets + c.len_utf8() > MAX_LINE_OCTETS {
            out.push_str("\r\n ");
            n_octets = 1;
        }
        out.push(c);
        n_octets += c.len_utf8();
    }
    out.push_str("\r\n");
}

fn day(day: Date) -> String {
    day.to_string().replace('-', "")
}

fn instant(instant: Timestamp) -> String {
    instant.to_string().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(title: &str) -> Entry {
        Entry {
            id: "due-stable-2026-12-09".to_owned(),
            from: "2026-12-09".parse().unwrap(),
            until: "2026-12-09".parse().unwrap(),
            title: title.to_owned(),
            text: String::new(),
        }
    }

    fn feed(title: &str) -> String {
        render("Boxcar", &[entry(title)], "2026-12-01T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn an_entry_is_a_whole_day() {
        assert_eq!(
            feed("stable; a, b\\c\nd"),
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Stationmaster//release calendar//EN\r\nX-WR-CALNAME:Boxcar\r\n\
             BEGIN:VEVENT\r\nUID:due-stable-2026-12-09@stationmaster\r\nDTSTAMP:20261201T080000Z\r\n\
             DTSTART;VALUE=DATE:20261209\r\nDTEND;VALUE=DATE:20261210\r\nSUMMARY:stable\\; a\\, b\\\\c\\nd\r\n\
             TRANSP:TRANSPARENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
    }

    proptest! {
        #[test]
        fn no_title_breaks_a_line_or_out_of_its_field(title in "\\PC{0,120}|[\\n\\r;,:A-Z]{0,40}") {
            let feed = feed(&title);
            prop_assert!(feed.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])));
            let unfolded = feed.replace("\r\n ", "");
            let names: Vec<&str> = unfolded.lines().filter_map(|line| line.split([':', ';']).next()).collect();
            prop_assert_eq!(names.len(), 13);
            let summary = unfolded.lines().find_map(|line| line.strip_prefix("SUMMARY:")).unwrap();
            let read = summary.replace("\\\\", "\u{0}").replace("\\n", "\n").replace("\\;", ";").replace("\\,", ",");
            let expected: String = title.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
            prop_assert_eq!(read.replace('\u{0}', "\\"), expected);
        }
    }
}
