//! The guest shell's protocol, without the connection: what is sent for a command, and how its answer is found in what comes back.
//!
//! The guest's end is a plain `sh` that reads commands from the port. Each command is wrapped so that it brackets its output with
//! a mark that only this run uses; when the shell starts, it first says which boot it belongs to. Everything else that comes is
//! noise: a machine may reboot, or be cut off, in the middle of an answer.

use std::fmt;

/// Output of one command kept at most: stops a guest that never ends its answer.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// What the shell says first: the identity of the boot, in brackets on a line of its own.
const HELLO: &str = "\n<guest-shell boot ";

/// The kernel's identity of one boot (`/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(String);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a command said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Standard output and standard error, as they came; bytes that are not UTF-8 are replaced.
    pub output: String,
    /// Exit status, as the shell gives it: above 128 for a signal.
    pub exit: u8,
}

impl Answer {
    /// Whether the command succeeded.
    pub const fn is_success(&self) -> bool {
        self.exit == 0
    }
}

/// What the next complete piece of a transcript is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A shell has started, in this boot.
    Hello(BootId),
    /// The command with the mark asked for has ended.
    Answer(Answer),
}

/// The script of the shell's start: to be run by `sh` with the port's path as `$1`.
pub fn shell_script() -> String {
    let open = r#"exec <>"$1" >&0 2>&0"#;
    let hello = format!(r#"printf '\n{}%s>\n' "$(cat /proc/sys/kernel/random/boot_id)""#, HELLO.trim_start());
    format!("{open}; {hello}; exec /bin/sh")
}

/// The bytes to send for `command`, a script of any length, with `mark` around its output.
pub fn request(mark: &str, command: &str) -> Vec<u8> {
    let quoted = command.replace('\'', r"'\''");
    format!(
        "printf '\\n<{mark} begin>\\n'; /bin/sh -c '{quoted}' </dev/null 2>&1; printf '\\n<{mark} end %d>\\n' $?\n"
    )
    .into_bytes()
}

/// What has come from the guest and is not yet understood.
#[derive(Debug, Default)]
pub struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    /// Takes more of what came. Of a flood, only the end is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * MAX_OUTPUT_BYTES {
            self.bytes.drain(..self.bytes.len() - MAX_OUTPUT_BYTES);
        }
    }

    /// The next hello, or the answer to the command that was sent with `mark`, whichever came first.
    pub fn next(&mut self, mark: Option<&str>) -> Option<Heard> {
        let hello = self.find_hello();
        let answer = mark.and_then(|mark| self.find_answer(mark));
        let (heard, end) = match (hello, answer) {
            (Some((id, at)), Some((_, end))) if at < end => (Heard::Hello(id), at),
            (_, Some((answer, end))) => (Heard::Answer(answer), end),
            (Some((id, at)), None) => (Heard::Hello(id), at),
            (None, None) => return None,
        };
        self.bytes.drain(..end);
        Some(heard)
    }

    /// The last lines of what came and led to nothing, for messages.
    pub fn rest(&self) -> String {
        const SHOWN: usize = 2000;
        let from = self.bytes.len().saturating_sub(SHOWN);
        String::from_utf8_lossy(&self.bytes[from..]).into_owned()
    }

    /// A complete hello and where it ends.
    fn find_hello(&self) -> Option<(BootId, usize)> {
        let start = find(&self.bytes, HELLO.as_bytes())? + HELLO.len();
        let len = find(&self.bytes[start..], b">\n")?;
        let id = String::from_utf8_lossy(&self.bytes[start..start + len]).into_owned();
        Some((BootId(id), start + len + 1))
    }

    /// A complete answer and where it ends.
    fn find_answer(&self, mark: &str) -> Option<(Answer, usize)> {
        let begin = format!("\n<{mark} begin>\n");
        let end = format!("\n<{mark} end ");
        let start = find(&self.bytes, begin.as_bytes())? + begin.len();
        // Without output, the end mark's line break is the begin mark's.
        let search_from = start - 1;
        let output_end = search_from + find(&self.bytes[search_from..], end.as_bytes())?;
        let status_start = output_end + end.len();
        let status_len = find(&self.bytes[status_start..], b">\n")?;
        let status = std::str::from_utf8(&self.bytes[status_start..status_start + status_len]).ok()?;
        let output = self.bytes.get(start..output_end).unwrap_or_default();
        let answer =
            Answer { output: String::from_utf8_lossy(output).into_owned(), exit: status.parse().ok()? };
        Some((answer, status_start + status_len + 1))
    }
}

/// Fast, because a guest that floods its answer makes all of it be looked through again and again.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, mark: &str) -> Vec<Heard> {
        let mut transcript = Transcript::default();
        transcript.push(text.as_bytes());
        std::iter::from_fn(|| transcript.next(Some(mark))).collect()
    }

    fn answer(output: &str, exit: u8) -> Heard {
        Heard::Answer(Answer { output: output.to_owned(), exit })
    }

    #[test]
    fn output_is_exactly_what_stands_between_the_marks() {
        assert_eq!(heard("noise\n<m begin>\na\n\nb\n<m end 0>\n", "m"), [answer("a\n\nb", 0)]);
        assert_eq!(heard("\n<m begin>\n\n<m end 7>\n", "m"), [answer("", 7)]);
    }

    #[test]
    fn marks_of_other_runs_are_output() {
        let text = "\n<m1 begin>\n<m2 begin>\n\n<m2 end 1>\n\n<m1 end 0>\n";
        assert_eq!(heard(text, "m1"), [answer("<m2 begin>\n\n<m2 end 1>\n", 0)]);
    }

    #[test]
    fn an_answer_cut_anywhere_is_no_answer_yet() {
        let whole = "\n<m begin>\nout\n<m end 12>\n";
        for cut in 0..whole.len() {
            assert_eq!(heard(&whole[..cut], "m"), [], "cut at {cut}");
        }
    }

    #[test]
    fn a_reboot_in_the_middle_of_an_answer_is_heard_as_a_hello() {
        let text = "\n<m begin>\nhalf an\n<guest-shell boot 0a-1b>\n";
        assert_eq!(heard(text, "m"), [Heard::Hello(BootId("0a-1b".to_owned()))]);
    }

    #[test]
    fn a_flood_is_bounded_and_the_next_answer_is_still_found() {
        let mut transcript = Transcript::default();
        for _ in 0..40 {
            transcript.push(&vec![b'x'; 1 << 20]);
        }
        assert!(transcript.bytes.len() <= 2 * MAX_OUTPUT_BYTES);
        transcript.push(b"\n<m begin>\nok\n<m end 0>\n");
        assert_eq!(transcript.next(Some("m")), Some(answer("ok", 0)));
    }

    #[test]
    fn a_command_cannot_leave_its_quotes() {
        let sent = String::from_utf8(request("m", "echo 'a b'")).unwrap();
        assert!(sent.contains(r"/bin/sh -c 'echo '\''a b'\''' </dev/null"), "{sent}");
    }
}
