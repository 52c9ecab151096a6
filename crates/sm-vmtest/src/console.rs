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

    fn end(&self, limit_bytes: u64) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(limit_bytes)))?;
            let mut bytes = Vec::new();
            file.take(limit_bytes).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
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
    fn the_tail_is_the_last_lines_that_say_something() {
        let dir = tempfile::tempdir().unwrap();
        let log = ConsoleLog::new(dir.path().join("console.log"));
        assert_eq!(log.tail(3), Vec::<String>::new());
        std::fs::write(log.path(), format!("{}\n\r\nlast\x1b[0m\r\n\r\n", "x".repeat(5000))).unwrap();
        assert_eq!(log.last_line(), "last");
        assert_eq!(log.tail(2).len(), 2);
    }
}
