//! Comments and suggestions on fragments, and what became of them: a fold over the log, and what may be said next.

use std::collections::BTreeMap;

use serde::Serialize;
use sm_model::{
    FragmentId, Handle, Sha256, Timestamp,
    notes::{NotesEvent, Outcome},
    release_event::{Envelope, Event},
};

use super::{
    fragment::{Fragment, MAX_FRAGMENT_BYTES},
    prose::is_deceptive,
};

/// Longest comment, quotation or reason, in characters.
pub const MAX_WORDS_CHARS: usize = 2000;

/// What somebody said about a fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Its number in the log.
    pub id: u64,
    /// Who.
    pub by: Handle,
    /// When.
    pub at: Timestamp,
    /// Which fragment.
    pub fragment: FragmentId,
    /// Digest of the file that they read; zeros for a fragment that they would add.
    pub base: Sha256,
    /// What they said.
    pub what: Said,
    /// What became of it, by whom and why.
    pub settled: Option<Settled>,
}

/// A comment or a suggestion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub enum Said {
    /// Words about the fragment.
    Comment {
        /// The words of the fragment that it is about.
        quote: String,
        /// The comment.
        text: String,
    },
    /// Another text.
    Suggestion {
        /// The whole file.
        text: String,
        /// Why.
        reason: String,
    },
}

/// What became of a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// How.
    pub outcome: Outcome,
    /// By whom.
    pub by: Handle,
    /// Why, or the answer.
    pub reason: String,
}

/// Every remark there is, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review(BTreeMap<u64, Remark>);

/// Why something cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing of that number.
    #[error("there is no comment or suggestion {0}")]
    Unknown(u64),
    /// It was settled before.
    #[error("{id} was settled by {by} already")]
    SettledBefore {
        /// Its number.
        id: u64,
        /// By whom.
        by: Handle,
    },
    /// Only suggestions can be put into files.
    #[error("{0} is a comment: it has no text that could be taken")]
    NoSuggestion(u64),
    /// The file is not what the suggestion was made for.
    #[error("`{fragment}` has changed since suggestion {id} was made")]
    Outdated {
        /// The suggestion.
        id: u64,
        /// The file.
        fragment: FragmentId,
    },
    /// The suggested text has faults of its own.
    #[error("the suggested text is no fragment: {0}")]
    Faulty(String),
    /// It is the same text.
    #[error("the suggested text is what `{0}` says already")]
    Same(FragmentId),
    /// Words that are missing, too long, or not to be seen.
    #[error("the {what} {why}")]
    Words {
        /// Which words.
        what: &'static str,
        /// What is wrong with them.
        why: String,
    },
    /// There is no such file to comment.
    #[error("there is no fragment `{0}`")]
    NoFragment(FragmentId),
    /// The quotation is not in the fragment.
    #[error("`{0}` does not say that: quote its words as they stand")]
    NotQuoted(FragmentId),
}

impl Refusal {
    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Refusal::Unknown(_) => Some("`stationmaster notes remarks --all` lists them".to_owned()),
            Refusal::NoFragment(_) => Some(
                "`stationmaster notes lint` tells where the changelog is; `notes suggest` asks for a new fragment"
                    .to_owned(),
            ),
            Refusal::NoSuggestion(_) => Some("answer it with `stationmaster notes settle`".to_owned()),
            Refusal::Outdated { .. } => Some(
                "ask for a new suggestion; `stationmaster notes remarks NUMBER` shows what it would change"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Exit code of a program that ends with this: its answer is no.
    pub fn exit_code(&self) -> u8 {
        sm_model::exit::NEGATIVE
    }
}

/// A fragment's file as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current<'a> {
    /// Which.
    pub id: &'a FragmentId,
    /// Its text; `None` where there is no file.
    pub text: Option<&'a str>,
}

impl Current<'_> {
    fn digest(&self) -> Sha256 {
        self.text.map_or(Sha256([0; 32]), |text| crate::proof::digest_bytes(text.as_bytes()))
    }
}

impl Review {
    /// Every remark that a log holds.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Review {
        let mut review = Review::default();
        events.into_iter().for_each(|event| review.apply(event));
        review
    }

    /// Takes one event in. What makes no sense changes nothing.
    pub fn apply(&mut self, event: &Envelope) {
        let Event::Notes(body) = &event.body else { return };
        let (fragment, base, what) = match body.clone() {
            NotesEvent::Commented { fragment, digest, quote, text } => {
                (fragment, digest, Said::Comment { quote, text })
            }
            NotesEvent::Suggested { fragment, base, text, reason } => {
                (fragment, base, Said::Suggestion { text, reason })
            }
            NotesEvent::Settled { item, outcome, reason } => {
                if let Some(remark) = self.0.get_mut(&item).filter(|remark| remark.settled.is_none()) {
                    remark.settled = Some(Settled { outcome, by: event.by.clone(), reason });
                }
                return;
            }
        };
        let (id, by, at) = (event.seq, event.by.clone(), event.at);
        self.0.insert(id, Remark { id, by, at, fragment, base, what, settled: None });
    }

    /// All remarks, by number.
    pub fn remarks(&self) -> impl Iterator<Item = &Remark> {
        self.0.values()
    }

    /// Remarks that nobody has settled.
    pub fn open(&self) -> impl Iterator<Item = &Remark> {
        self.remarks().filter(|remark| remark.settled.is_none())
    }

    fn get_open(&self, id: u64) -> Result<&Remark, Refusal> {
        let remark = self.0.get(&id).ok_or(Refusal::Unknown(id))?;
        match &remark.settled {
            Some(settled) => Err(Refusal::SettledBefore { id, by: settled.by.clone() }),
            None => Ok(remark),
        }
    }

    /// A suggestion that fits the file as it is, with its text.
    ///
    /// # Errors
    /// When there is no such open suggestion, or the file has changed since.
    pub fn suggestion(&self, id: u64, current: Current<'_>) -> Result<&str, Refusal> {
        let remark = self.get_open(id)?;
        let Said::Suggestion { text, .. } = &remark.what else { return Err(Refusal::NoSuggestion(id)) };
        // Taking it again after a crash between writing the file and recording it must succeed.
        let is_taken = current.text == Some(text.as_str());
        if *current.id == remark.fragment && (current.digest() == remark.base || is_taken) {
            Ok(text)
        } else {
            Err(Refusal::Outdated { id, fragment: remark.fragment.clone() })
        }
    }

    /// Which fragment a remark is about.
    ///
    /// # Errors
    /// When there is no such open remark.
    pub fn fragment_of(&self, id: u64) -> Result<&FragmentId, Refusal> {
        self.get_open(id).map(|remark| &remark.fragment)
    }

    /// Settles a remark.
    ///
    /// # Errors
    /// When there is no such open remark, or no reason is given.
    pub fn settle(&self, id: u64, outcome: Outcome, reason: &str) -> Result<Event, Refusal> {
        self.get_open(id)?;
        check_words("reason", reason)?;
        Ok(Event::Notes(NotesEvent::Settled { item: id, outcome, reason: reason.to_owned() }))
    }
}

/// A comment on a fragment.
///
/// # Errors
/// When there is nothing to comment, or the words cannot be kept.
pub fn comment(current: Current<'_>, quote: &str, text: &str) -> Result<Event, Refusal> {
    check_words("comment", text)?;
    let words = current.text.ok_or_else(|| Refusal::NoFragment(current.id.clone()))?;
    if !words.contains(quote) || quote.chars().count() > MAX_WORDS_CHARS {
        return Err(Refusal::NotQuoted(current.id.clone()));
    }
    Ok(Event::Notes(NotesEvent::Commented {
        fragment: current.id.clone(),
        digest: current.digest(),
        quote: quote.to_owned(),
        text: text.to_owned(),
    }))
}

/// Another text for a fragment, or a fragment that is not there yet.
///
/// # Errors
/// When the text is no fragment, is the same, or no reason is given.
pub fn suggest(current: Current<'_>, text: &str, reason: &str) -> Result<Event, Refusal> {
    check_words("reason", reason)?;
    if current.text == Some(text) {
        return Err(Refusal::Same(current.id.clone()));
    }
    if let Err(problems) = Fragment::parse(current.id, text.as_bytes()) {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Refusal::Faulty(problems.join("; ")));
    }
    debug_assert!(text.len() <= MAX_FRAGMENT_BYTES, "checked by parsing");
    Ok(Event::Notes(NotesEvent::Suggested {
        fragment: current.id.clone(),
        base: current.digest(),
        text: text.to_owned(),
        reason: reason.to_owned(),
    }))
}

fn check_words(what: &'static str, words: &str) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::Words { what, why });
    if words.trim().is_empty() {
        refuse("is empty".to_owned())
    } else if words.chars().count() > MAX_WORDS_CHARS {
        refuse(format!("is longer than {MAX_WORDS_CHARS} characters"))
    } else if let Some(c) = words.chars().find(|c| is_deceptive(*c)) {
        refuse(format!("has the character U+{:04X}, which is not seen", u32::from(c)))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "- Fixed the the lamp.\n";

    fn id() -> FragmentId {
        "bugfixes/2026-11-20-lamp.md".parse().unwrap()
    }

    fn envelope(seq: u64, by: &str, body: Event) -> Envelope {
        Envelope { seq, at: Timestamp::from_unix_secs(1_785_000_000).unwrap(), by: by.parse().unwrap(), body }
    }

    fn current<'a>(id: &'a FragmentId, text: &'a str) -> Current<'a> {
        Current { id, text: Some(text) }
    }

    #[test]
    fn a_suggestion_is_taken_once_and_only_for_the_text_it_was_made_for() {
        let id = id();
        let better = "- Fixed the lamp.\n";
        let event = suggest(current(&id, TEXT), better, "a word too many").unwrap();
        let mut review = Review::replay(&[envelope(4, "bob", event)]);
        assert_eq!(review.suggestion(4, current(&id, TEXT)).unwrap(), better);
        assert_eq!(review.suggestion(4, current(&id, better)).unwrap(), better, "after a crash");
        let outdated = review.suggestion(4, current(&id, "- Fixed another.\n")).unwrap_err();
        assert_eq!(
            outdated.to_string(),
            "`bugfixes/2026-11-20-lamp.md` has changed since suggestion 4 was made"
        );
        assert_eq!(review.suggestion(5, current(&id, TEXT)), Err(Refusal::Unknown(5)));

        let settled = review.settle(4, Outcome::Accepted, "thanks").unwrap();
        review.apply(&envelope(5, "alice", settled.clone()));
        assert_eq!(review.open().count(), 0);
        assert!(matches!(review.settle(4, Outcome::Declined, "no"), Err(Refusal::SettledBefore { .. })));
        review.apply(&envelope(6, "mallory", settled));
        assert_eq!(review.remarks().next().unwrap().settled.as_ref().unwrap().by.as_str(), "alice");
    }

    #[test]
    fn a_new_fragment_can_be_suggested() {
        let id = id();
        let event = suggest(Current { id: &id, text: None }, TEXT, "was forgotten").unwrap();
        let review = Review::replay(&[envelope(1, "bob", event)]);
        assert_eq!(review.suggestion(1, Current { id: &id, text: None }).unwrap(), TEXT);
        assert!(review.suggestion(1, current(&id, "- Other.\n")).is_err());
    }

    #[test]
    fn comments_quote_what_is_there() {
        let id = id();
        let event = comment(current(&id, TEXT), "the lamp", "which one?").unwrap();
        let review = Review::replay(&[envelope(2, "carol", event)]);
        assert_eq!(review.open().count(), 1);
        assert_eq!(review.suggestion(2, current(&id, TEXT)), Err(Refusal::NoSuggestion(2)));
        for (quote, text) in
            [("the door", "which?"), ("the lamp", " "), ("", "\u{202e}"), ("", &"x".repeat(2001))]
        {
            assert!(comment(current(&id, TEXT), quote, text).is_err(), "{quote:?} {text:?}");
        }
        assert!(comment(Current { id: &id, text: None }, "", "hello").is_err());
    }

    #[test]
    fn a_suggestion_must_be_a_fragment() {
        let id = id();
        let faulty = suggest(current(&id, TEXT), "words\n", "r").unwrap_err();
        assert!(matches!(faulty, Refusal::Faulty(_)), "{faulty:?}");
        assert!(matches!(suggest(current(&id, TEXT), TEXT, "r"), Err(Refusal::Same(_))));
        assert!(matches!(suggest(current(&id, TEXT), "- x\n", ""), Err(Refusal::Words { .. })));
    }
}
