//! `quarantine.toml`: which known failures are muted, for how long, and who mends them. Written from what the store knows, so
//! that a decision carries it; read with the same care as what people write.

use sm_model::{Channel, Date, Timestamp, test_report::FailureSignature};

use super::text::{Problem, Reader, Section};
use crate::quarantine::Quarantine;

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
                    reader.note(section.offset(), problem.to_string());
                }
                quarantines.push(quarantine);
            }
            section.finish(reader);
        }
        quarantines
    })
}

/// The file for quarantines. Reading it back gives the same ones.
pub fn render(quarantines: &[Quarantine]) -> String {
    let quote = |text: &str| toml::Value::from(text).to_string();
    let scenario = |quarantine: &Quarantine| {
        let pairs =
            quarantine.scenario.iter().map(|(key, value)| format!("{} = {}", quote(key), quote(value)));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let table = |quarantine: &Quarantine| {
        format!(
            "[[quarantine]]\ntest = {}\nscenario = {{ {} }}\nsignature = \"{}\"\nchannel = \"{}\"\nopened = \"{}\"\n\
             expires = \"{}\"\nextensions = {}\nowner = {}\napproved-by = {}\nissue = {}\n",
            quote(quarantine.test.as_str()),
            scenario(quarantine),
            quarantine.signature.0,
            quarantine.channel,
            quarantine.opened,
            quarantine.expires,
            quarantine.n_extensions,
            quote(&quarantine.owner),
            quote(&quarantine.approved_by),
            quote(&quarantine.issue),
        )
    };
    quarantines.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn read(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Option<Quarantine> {
    let test = section.required("test", reader);
    let scenario = section.free("scenario", reader);
    let signature = section.required("signature", reader);
    let channel = section.required::<Channel>("channel", reader);
    let opened = instant(section, "opened", reader);
    let expires = instant(section, "expires", reader);
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

/// An instant, or the first one of a day.
struct Instant(Timestamp);

impl std::str::FromStr for Instant {
    type Err = sm_model::time::InvalidDate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Instant).or_else(|_| text.parse().map(|day: Date| Instant(day.start())))
    }
}

fn instant(section: &mut Section<'_, '_>, key: &'static str, reader: &mut Reader<'_>) -> Option<Timestamp> {
    section.required::<Instant>(key, reader).map(|at| at.value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(approved_by: &str, expires: &str) -> String {
        format!(
            "[[quarantine]]\ntest = \"net.dhcp\"\nscenario = {{ firmware = \"uefi\" }}\nsignature = \"{}\"\n\
             channel = \"alpha\"\nopened = \"2026-11-20\"\nexpires = \"{expires}\"\nowner = \"bob\"\n\
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
    fn what_is_written_reads_back() {
        let mut quarantines = parse(&text("carol", "2026-12-01T09:30:00Z")).unwrap();
        quarantines[0].issue = "https://issues.example/\"1\"\n".to_owned();
        quarantines.push(Quarantine { n_extensions: 1, ..quarantines[0].clone() });
        assert_eq!(parse(&render(&quarantines)).unwrap(), quarantines);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn a_quarantine_that_is_not_allowed_is_a_mistake_of_the_file() {
        let problems = parse(&text("bob", "2027-12-01")).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            told,
            [
                "a term is longer than 14 days",
                "all terms are longer than 60 days",
                "its owner cannot approve it"
            ]
        );
    }
}
