//! Whether a text is a vote. Commands stand alone at the beginning of a message; what is ambiguous is no vote, and said to be none.

use sm_model::{ItemId, Version, statement::Choice};

/// Longest reason that is kept, in characters.
pub const MAX_REASON_CHARS: usize = 1000;
/// Blockers that one message can name.
pub const MAX_BLOCKERS: usize = 8;

/// What a message or reaction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing about a release.
    Nothing,
    /// It looks like a vote and is none.
    Unclear(&'static str),
    /// A vote.
    Vote(Words),
}

/// A vote in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What for.
    pub choice: Choice,
    /// Which version, where it says.
    pub version: Option<Version>,
    /// Blockers that it names.
    pub blockers: Vec<ItemId>,
    /// Why.
    pub reason: String,
}

const NEEDS_REASON: &str = "a No-Go says why: `!no-go REASON`";

/// What a reaction says: 👍 and 👎, in any colour.
pub fn of_reaction(key: &str) -> Said {
    // U+FE0F asks for colour, U+1F3FB to U+1F3FF are skin tones.
    let plain: String =
        key.chars().filter(|c| !matches!(c, '\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}')).take(4).collect();
    match plain.as_str() {
        "👍" => Said::Vote(Words {
            choice: Choice::Go,
            version: None,
            blockers: Vec::new(),
            reason: String::new(),
        }),
        "👎" => Said::Unclear(NEEDS_REASON),
        _ => Said::Nothing,
    }
}

/// What a message says.
pub fn of_message(text: &str) -> Said {
    let text = without_quote(text).trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let choice = match word.to_ascii_lowercase().as_str() {
        "!go" => Choice::Go,
        "!no-go" | "!nogo" => Choice::NoGo,
        "!abstain" => Choice::Abstain,
        _ => return Said::Nothing,
    };
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    let version = words.first().and_then(|word| word.parse().ok());
    if version.is_some() {
        words.remove(0);
    }
    let is_number = |word: &&&str| word.starts_with('#') && word.parse::<ItemId>().is_ok();
    let blockers: Vec<ItemId> =
        words.iter().take_while(is_number).take(MAX_BLOCKERS).filter_map(|word| word.parse().ok()).collect();
    let reason = clean(&words[blockers.len()..].join(" "));
    match choice {
        Choice::NoGo if reason.is_empty() => Said::Unclear(NEEDS_REASON),
        Choice::Go if !(reason.is_empty() && blockers.is_empty()) => {
            Said::Unclear("a Go has no conditions: `!go` alone, or `!go VERSION`")
        }
        _ => Said::Vote(Words { choice, version, blockers, reason }),
    }
}

/// The text after what a client quotes of the message that is answered (Matrix 1.12, section "Fallbacks for rich replies").
fn without_quote(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with('>') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// A text as one line without what steers a terminal or turns the direction of reading.
pub fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let kept = text.chars().filter(|c| !steers(*c)).take(MAX_REASON_CHARS);
    kept.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vote(text: &str) -> Words {
        match of_message(text) {
            Said::Vote(words) => words,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn commands_alone_in_a_message_are_votes() {
        for (text, choice) in [("!go", Choice::Go), (" !GO \n", Choice::Go), ("!abstain", Choice::Abstain)] {
            assert_eq!((vote(text).choice, vote(text).version), (choice, None), "{text:?}");
        }
        assert_eq!(vote("!go 4902.0.0").version, Some("4902.0.0".parse().unwrap()));
        let no_go = vote("!no-go 4902.0.0 #7 #8 DNS is lost\non resume");
        assert_eq!(no_go.blockers, [ItemId(7), ItemId(8)]);
        assert_eq!((no_go.choice, no_go.reason.as_str()), (Choice::NoGo, "DNS is lost on resume"));
        assert_eq!(vote("!nogo DNS is lost").reason, "DNS is lost");
    }

    #[test]
    fn what_somebody_else_said_is_not_said_by_who_quotes_it() {
        assert_eq!(of_message("> <@alice:x> !go\n\nI am not sure"), Said::Nothing);
        assert_eq!(vote("> <@bob:x> Go or No-Go?\n> more\n\n!go").choice, Choice::Go);
        assert_eq!(of_message("> !go"), Said::Nothing);
    }

    #[test]
    fn what_is_ambiguous_is_no_vote() {
        for text in ["!go if DNS works", "!go #7", "!no-go", "!no-go 4902.0.0", "!no-go #7", "!go go"] {
            assert!(matches!(of_message(text), Said::Unclear(_)), "{text:?}");
        }
        for text in ["", "go", "we could !go now", "!gо", "!going", "! go", "!\u{200B}go", "/go", "!goo"] {
            assert_eq!(of_message(text), Said::Nothing, "{text:?}");
        }
    }

    #[test]
    fn a_thumb_up_in_any_colour_is_a_go_and_a_thumb_down_asks_for_a_reason() {
        for key in ["👍", "👍\u{FE0F}", "👍🏽"] {
            assert!(matches!(of_reaction(key), Said::Vote(Words { choice: Choice::Go, .. })), "{key:?}");
        }
        assert!(matches!(of_reaction("👎🏿"), Said::Unclear(_)));
        for key in ["", "👍👎", "👍👍", "+1", "✅", "🏽"] {
            assert_eq!(of_reaction(key), Said::Nothing, "{key:?}");
        }
    }

    #[test]
    fn a_reason_cannot_steer_a_terminal() {
        assert_eq!(vote("!no-go \u{1b}[2Jbad\u{202E} thing").reason, "[2Jbad thing");
        assert_eq!(vote(&format!("!no-go {}", "x".repeat(5000))).reason.len(), MAX_REASON_CHARS);
    }

    proptest! {
        #[test]
        fn no_text_is_a_go_but_the_command(text in "\\PC{0,40}") {
            if let Said::Vote(words) = of_message(&text) {
                prop_assert!(without_quote(&text).trim().starts_with('!'));
                prop_assert!(words.choice != Choice::NoGo || !words.reason.is_empty());
            }
        }
    }
}
