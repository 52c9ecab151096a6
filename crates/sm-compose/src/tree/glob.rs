//! Path patterns: `*` and `?` stay within a component, `**` crosses them, `{a,b}` means either.

/// A set of patterns over absolute paths. A path below a matched path is not matched by itself: write `/dir/**`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

/// A pattern without braces, cut at its first wildcard: most paths are told apart by the literal start alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    literal: String,
    rest: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(u8),
    AnyInComponent,
    One,
    Any,
}

/// A pattern whose braces do not pair, or that would expand to too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path pattern: expected `/…` with `*`, `**`, `?` and paired `{{a,b}}`")]
pub struct InvalidPattern(String);

/// Most patterns one pattern with braces may stand for: `{a,b}{a,b}…` doubles with every pair.
const MAX_EXPANSIONS: usize = 4096;

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// When one does not start with `/` or has unpaired braces.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InvalidPattern> {
        let mut compiled = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let invalid = || InvalidPattern(pattern.to_owned());
            if !pattern.starts_with('/') {
                return Err(invalid());
            }
            let expanded = expand(pattern).ok_or_else(invalid)?;
            compiled.extend(expanded.iter().map(|plain| compile(plain)));
        }
        Ok(Patterns { patterns: compiled })
    }

    /// Whether any pattern matches the whole path.
    pub fn matches(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| {
            path.strip_prefix(pattern.literal.as_str())
                .is_some_and(|rest| matches(&pattern.rest, rest.as_bytes()))
        })
    }
}

fn expand(pattern: &str) -> Option<Vec<String>> {
    let mut pending = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(text) = pending.pop() {
        let Some(close) = text.find('}') else {
            if text.contains('{') {
                return None;
            }
            done.push(text);
            continue;
        };
        let open = text[..close].rfind('{')?;
        let (before, after) = (&text[..open], &text[close + 1..]);
        pending.extend(text[open + 1..close].split(',').map(|choice| format!("{before}{choice}{after}")));
        if pending.len() + done.len() > MAX_EXPANSIONS {
            return None;
        }
    }
    Some(done)
}

fn compile(plain: &str) -> Pattern {
    let literal_len = plain.find(['*', '?']).unwrap_or(plain.len());
    let (literal, wild) = plain.split_at(literal_len);
    let mut rest = Vec::new();
    let mut bytes = wild.bytes().peekable();
    while let Some(byte) = bytes.next() {
        rest.push(match byte {
            b'*' if bytes.next_if_eq(&b'*').is_some() => Token::Any,
            b'*' => Token::AnyInComponent,
            b'?' => Token::One,
            other => Token::Char(other),
        });
    }
    Pattern { literal: literal.to_owned(), rest }
}

/// Follows every choice at once: time is tokens times letters, whatever the pattern.
fn matches(tokens: &[Token], text: &[u8]) -> bool {
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for token in tokens {
        reachable = step(token, text, &reachable);
    }
    reachable[text.len()]
}

/// Positions reachable after a token, from the positions reachable before it.
fn step(token: &Token, text: &[u8], before: &[bool]) -> Vec<bool> {
    let mut after = vec![false; before.len()];
    for at in 0..before.len() {
        after[at] = match token {
            Token::Char(byte) => at > 0 && before[at - 1] && text[at - 1] == *byte,
            Token::One => at > 0 && before[at - 1] && text[at - 1] != b'/',
            Token::Any => before[at] || (at > 0 && after[at - 1]),
            Token::AnyInComponent => before[at] || (at > 0 && after[at - 1] && text[at - 1] != b'/'),
        };
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matched(pattern: &str, path: &str) -> bool {
        Patterns::new(&[pattern]).unwrap().matches(path)
    }

    #[test]
    fn one_star_stays_in_its_component_and_two_do_not() {
        assert!(matched("/usr/*/x", "/usr/lib/x"));
        assert!(!matched("/usr/*/x", "/usr/lib/y/x"));
        assert!(matched("/usr/**/x", "/usr/lib/y/x"));
        assert!(matched("/usr/share/man/**", "/usr/share/man/man1/a"));
        assert!(!matched("/usr/share/man/**", "/usr/share/manual"));
        assert!(!matched("/usr/share/man/**", "/usr/share/man"));
    }

    #[test]
    fn braces_mean_either_and_nest() {
        for path in ["/a/x", "/b/x", "/cd/x", "/ce/x"] {
            assert!(matched("/{a,b,c{d,e}}/*", path), "{path}");
        }
        assert!(!matched("/{a,b,c{d,e}}/*", "/c/x"));
    }

    #[test]
    fn question_mark_is_one_letter_of_a_component() {
        assert!(matched("/a?c", "/abc"));
        assert!(!matched("/a?c", "/a/c"));
        assert!(!matched("/a?c", "/ac"));
    }

    #[test]
    fn unpaired_braces_relative_patterns_and_explosions_are_refused() {
        for pattern in ["/{a", "/a}", "usr/**", "", &format!("/{}", "{a,b}".repeat(13))] {
            assert!(Patterns::new(&[pattern]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        assert!(!matched(&format!("/{}b", "**a".repeat(200)), &format!("/{}", "a".repeat(2000))));
    }

    proptest! {
        #[test]
        fn a_path_without_wildcards_matches_exactly_itself(path in "(/[a-z.+-]{1,8}){1,4}", other in "(/[a-z]{1,8}){1,4}") {
            prop_assert!(matched(&path, &path));
            prop_assert_eq!(matched(&path, &other), path == other);
        }
    }
}
