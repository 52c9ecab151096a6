//! `quarantine.toml`: which known failures are muted, for how long, and who mends them.

use sm_model::{Channel, Date, Timestamp, test_report::FailureSignature};

use super::text::{Problem, Reader, Section};
use crate::quarantine::{Quarantine, QuarantineProblem};

/// Reads the file.
///
/// # Errors
/// Everything that is wrong with it, with lines: also quarantines that are not allowed.
pub fn parse(text: &str) -> Result<Vec<Quarantine>, Vec<Problem>> {
    Reader::read(text, |root, reader| {
        let mut quarantines = Vec::new();
        for mut section in root.tables("quarantine", reader) {
            if let Some(quarantine) = read(&mut section, reader) {
                for problem in quarantine.problems() {
                    reader.note(section.offset(), words(problem));
                }
                quarantines.push(quarantine);
            }
            section.finish(reader);
        }
        quarantines
    })
}

fn read(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Option<Quarantine> {
    let test = section.required("test", reader);
    let scenario = section.free("scenario", reader);
    let signature = section.required("signature", reader);
    let channel = section.required::<Channel>("channel", reader);
    let opened = day(section, "opened", reader);
    let expires = day(section, "expires", reader);
    let extensions = section.integer("extensions", reader).map_or(0, |at| at.value);
    let owner = section.required::<String>("owner", reader);
    let approved_by = section.required::<String>("approved-by", reader);
    let issue = section.required::<String>("issue", reader);
    let mut one_value = std::collections::BTreeMap::new();
    for (key, values) in scenario {
        match <[String; 1]>::try_from(values) {
            Ok([value]) => drop(one_value.insert(key, value)),
            Err(_) => reader.note(section.offset(), format!("`scenario.{key}` has one value, not a list")),
        }
    }
    Some(Quarantine {
        test: test?.value,
        scenario: one_value,
        signature: FailureSignature(signature?.value),
        channel: channel?.value,
        opened: opened?,
        expires: expires?,
        n_extensions: u8::try_from(extensions).unwrap_or(u8::MAX),
        owner: owner?.value,
        approved_by: approved_by?.value,
        issue: issue?.value,
    })
}

/// The first instant of a day: terms end at midnight, when everybody can see it coming.
fn day(section: &mut Section<'_, '_>, key: &'static str, reader: &mut Reader<'_>) -> Option<Timestamp> {
    let day = section.date(key, reader);
    if day.is_none() {
        reader.note(section.offset(), format!("`{key}` is missing"));
    }
    day.map(|at| Date::start(at.value))
}

fn words(problem: QuarantineProblem) -> String {
    match problem {
        QuarantineProblem::EndsBeforeItBegins => "the quarantine ends before it begins".to_owned(),
        QuarantineProblem::TermTooLong => {
            format!("a term is longer than {} days", crate::quarantine::MAX_TERM_DAYS)
        }
        QuarantineProblem::TotalTooLong => {
            format!("all terms together are longer than {} days", crate::quarantine::MAX_TOTAL_DAYS)
        }
        QuarantineProblem::TooManyExtensions => {
            format!("it was extended more than {} times", crate::quarantine::MAX_EXTENSIONS)
        }
        QuarantineProblem::OwnApproval => "owner and approver are one person".to_owned(),
        QuarantineProblem::NoIssue => "`issue` names no place where the failure is worked on".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(approved_by: &str, expires: &str) -> String {
        format!(
            "[[quarantine]]\ntest = \"net.dhcp\"\nscenario = {{ firmware = \"uefi\" }}\nsignature = \"{}\"\n\
             channel = \"alpha\"\nopened = 2026-11-20\nexpires = {expires}\nowner = \"bob\"\n\
             approved-by = \"{approved_by}\"\nissue = \"#12\"\n",
            "ab".repeat(32)
        )
    }

    #[test]
    fn a_quarantine_ends_at_midnight() {
        let quarantines = parse(&text("carol", "2026-12-01")).unwrap();
        assert_eq!(quarantines[0].expires.to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(quarantines[0].scenario["firmware"], "uefi");
    }

    #[test]
    fn a_quarantine_that_is_not_allowed_is_a_mistake_of_the_file() {
        let problems = parse(&text("bob", "2027-12-01")).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            told,
            [
                "a term is longer than 14 days",
                "all terms together are longer than 60 days",
                "owner and approver are one person"
            ]
        );
    }
}
