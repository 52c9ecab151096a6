//! What a guest said on its console, or in its journal: a file that grows while it is read.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Console text looked at: the end of longer logs.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// A console line without terminal control sequences (ECMA-48, section 5.4) and other control characters.
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            if !c.is_control() {
                text.push(c);
            }
            continue;
        }
        match chars.next() {
            // A control sequence: parameters up to a final byte in @ to ~.
            Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // A string (title and the like): up to BEL or ESC \.
            Some(']' | 'P' | '_' | '^') => {
                while chars.next().is_some_and(|c| c != '\x07' && c != '\x1b') {}
                chars.next_if_eq(&'\\');
            }
            _ => {}
        }
    }
    text.trim().to_owned()
}

/// A machine's console log, which grows while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLog {
    path: PathBuf,
}

impl ConsoleLog {
    /// The log at `path`; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        ConsoleLog { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything said so far; of very long logs the end. A log that cannot be read says nothing.
    pub fn text(&self) -> String {
        self.end(MAX_LOG_BYTES)
    }

    /// The last `n` lines that are not empty, without terminal control.
    pub fn tail(&self, n: usize) -> Vec<String> {
        const LONGEST_LINE_BYTES: u64 = 400;
        let text = self.end(LONGEST_LINE_BYTES.saturating_mul(n as u64 + 10));
        let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(n)..].to_vec()
    }

    /// The last line that is not empty.
    pub fn last_line(&self) -> String {
        self.tail(1).pop().unwrap_or_default()
    }

    /// Bytes said so far.
    pub fn len_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Everything said after the first `from` bytes; of very much the end.
    pub fn text_from(&self, from: u64) -> String {
        self.end(self.len_bytes().saturating_sub(from).min(MAX_LOG_BYTES))
    }

    /// The lines that were ended after the first `seen` bytes, which are then counted among those; of very much the end.
    pub fn new_lines(&self, seen: &mut u64) -> String {
        let len = self.len_bytes();
        let mut bytes = self.end_bytes(len.saturating_sub(*seen).min(MAX_LOG_BYTES), len);
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
        *seen += bytes.len() as u64;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes after the first `from` bytes: all of it, or of more than `limit_bytes` the end and how much is left out.
    pub fn excerpt(&self, from: u64, limit_bytes: u64) -> String {
        let n_bytes = self.len_bytes().saturating_sub(from);
        let text = self.end(n_bytes.min(limit_bytes));
        match n_bytes.checked_sub(limit_bytes) {
            None | Some(0) => text,
            Some(n_left_out) => format!("({n_left_out} bytes are left out here)\n{text}"),
        }
    }

    fn end(&self, limit_bytes: u64) -> String {
        String::from_utf8_lossy(&self.end_bytes(limit_bytes, self.len_bytes())).into_owned()
    }

    /// The last bytes of the first `len`.
    fn end_bytes(&self, limit_bytes: u64, len: u64) -> Vec<u8> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(len.saturating_sub(limit_bytes)))?;
            let mut bytes = Vec::new();
            file.take(limit_bytes).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_cut_anywhere_do_no_harm() {
        let line = "a\x1b]0;title\x07b\x1b[1;2Hc\x1b(Bd";
        assert_eq!(plain(line), "abcBd");
        for cut in (0..line.len()).filter(|&cut| line.is_char_boundary(cut)) {
            assert!(!plain(&line[..cut]).contains('\x1b'));
        }
    }

    #[test]
    fn new_lines_are_read_once_and_only_when_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let log = ConsoleLog::new(dir.path().join("console.log"));
        let mut seen = 0;
        for (whole, expected) in [("a\nb", "a\n"), ("a\nb", ""), ("a\nbc\nd\n", "bc\nd\n")] {
            std::fs::write(log.path(), whole).unwrap();
            assert_eq!(log.new_lines(&mut seen), expected);
        }
    }

    #[test]
    fn an_excerpt_tells_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let log = ConsoleLog::new(dir.path().join("console.log"));
        std::fs::write(log.path(), "before 123456").unwrap();
        assert_eq!(log.excerpt(7, 6), "123456");
        assert_eq!(log.excerpt(7, 2), "(4 bytes are left out here)\n56");
    }

    #[test]
    fn the_tail_is_the_last_lines_that_say_something() {
        let dir = tempfile::tempdir().unwrap();
        let log = ConsoleLog::new(dir.path().join("console.log"));
        assert_eq!(log.tail(3), Vec::<String>::new());
        std::fs::write(log.path(), format!("{}\n\r\nlast\x1b[0m\r\n\r\n", "x".repeat(5000))).unwrap();
        assert_eq!(log.last_line(), "last");
        assert_eq!(log.tail(2).len(), 2);
    }
}
