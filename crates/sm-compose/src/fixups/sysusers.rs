//! sysusers.d(5) as packages write it: declarations of users, groups and memberships. Numbers are given out elsewhere.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Declaration {
    /// `u`: a user, with a group of the same name unless another is given.
    User {
        /// Its name.
        name: String,
        /// Its number, where the line gives one.
        uid: Option<u32>,
    },
    /// `g`: a group.
    Group {
        /// Its name.
        name: String,
        /// Its number, where the line gives one.
        gid: Option<u32>,
    },
    /// `m`: a user's membership.
    Member {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
}

/// A line that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is no sysusers.d declaration: expected `u`, `g`, `m` or `r` with its fields (sysusers.d(5))"
)]
pub struct SysusersError {
    line: usize,
}

/// Parses a file. Ranges for automatic numbers (`r`) mean nothing here and are skipped.
pub(super) fn parse(text: &str) -> Result<Vec<Declaration>, SysusersError> {
    let mut declarations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        let declaration = declaration(line).ok_or(SysusersError { line: index + 1 })?;
        declarations.extend(declaration);
    }
    Ok(declarations)
}

/// `Some(None)` is a line that is understood and declares nothing.
fn declaration(line: &str) -> Option<Option<Declaration>> {
    let mut fields = Fields { rest: line };
    let kind = fields.next_field()?;
    let name = fields.next_field()?;
    let id = fields.next_field().unwrap_or_else(|| "-".to_owned());
    if name.is_empty() || name.contains([':', ',', '\n']) {
        return None;
    }
    match kind.as_str() {
        "u" | "u!" => Some(Some(Declaration::User { name, uid: number(id.split(':').next()?)? })),
        "g" => Some(Some(Declaration::Group { name, gid: number(&id)? })),
        "m" if id != "-" => Some(Some(Declaration::Member { user: name, group: id })),
        "r" => Some(None),
        _ => None,
    }
}

/// A number; nothing for `-` and for a path whose owner would be asked.
fn number(text: &str) -> Option<Option<u32>> {
    if text == "-" || text.starts_with('/') {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

/// Fields separated by blanks, with double or single quotes around those that contain some.
struct Fields<'a> {
    rest: &'a str,
}

impl Fields<'_> {
    fn next_field(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (field, rest) = match quote {
            Some(quote) => self.rest[1..].split_once(quote)?,
            None => self.rest.split_once(char::is_whitespace).unwrap_or((self.rest, "")),
        };
        self.rest = rest;
        (quote.is_some() || !field.is_empty()).then(|| field.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: Option<u32>) -> Declaration {
        Declaration::User { name: name.to_owned(), uid }
    }

    #[test]
    fn lines_as_packages_write_them_are_understood() {
        let text = "# comment\n\nu root 0 \"Super User\" /root\nu! systemd-network - \"systemd Network Management\"\n\
                    u sshd -:nogroup \"sshd user\" /run/sshd\ng input  -\ng tty 5 -\nm core sudo\nr - 500-900\n; other\n";
        let group = |name: &str, gid| Declaration::Group { name: name.to_owned(), gid };
        assert_eq!(
            parse(text).unwrap(),
            [
                user("root", Some(0)),
                user("systemd-network", None),
                user("sshd", None),
                group("input", None),
                group("tty", Some(5)),
                Declaration::Member { user: "core".to_owned(), group: "sudo".to_owned() },
            ]
        );
    }

    #[test]
    fn quotes_hold_blanks_together() {
        let mut fields = Fields { rest: "u  \"a b\" 'c d' e" };
        let all: Vec<_> = std::iter::from_fn(|| fields.next_field()).collect();
        assert_eq!(all, ["u", "a b", "c d", "e"]);
    }

    #[test]
    fn foreign_lines_are_refused_with_their_number() {
        for bad in ["x name", "u", "u \"open", "u a:b -", "g name x", "m user", "u name 4294967296"] {
            let error = parse(&format!("# first\n{bad}\n")).unwrap_err();
            assert_eq!(error, SysusersError { line: 2 }, "{bad}");
        }
    }
}
