//! The form of a script: what is done, and what is said behind four spaces.

use sm_model::Timestamp;

/// The program's name: it may stand before a command, or be left out.
const PROGRAM: &str = "stationmaster";
/// What is said stands behind this.
const INDENT: &str = "    ";

/// Something that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// The clock is set.
    Clock(Timestamp),
    /// Somebody gives a command.
    Command {
        /// Who.
        who: String,
        /// The words of the command.
        words: Vec<String>,
    },
    /// Something happens elsewhere.
    World {
        /// What.
        what: String,
        /// The lines below it, for files.
        block: String,
    },
}

/// A script: lines that are kept as they are, and acts with what is said after them.
#[derive(Debug)]
pub(crate) struct Script {
    /// Everything that is done, in order.
    pub(crate) acts: Vec<Act>,
    parts: Vec<Part>,
}

/// A line of the script, or the place of an act and what is said there.
#[derive(Debug)]
enum Part {
    Line(String),
    Act { line: String, said: String, line_number: usize },
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When a line is of no kind.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Script> {
        let mut script = Script { acts: vec![], parts: vec![] };
        for (idx, line) in text.lines().enumerate() {
            if let Some(said) = line.strip_prefix(INDENT) {
                script.hear(said, idx + 1)?;
            } else if line.trim().is_empty() || line.starts_with('#') {
                script.parts.push(Part::Line(line.to_owned()));
            } else {
                let act = act(line).map_err(|why| anyhow::anyhow!("line {}: {why}", idx + 1))?;
                script.acts.push(act);
                script.parts.push(Part::Act {
                    line: line.to_owned(),
                    said: String::new(),
                    line_number: idx + 1,
                });
            }
        }
        Ok(script)
    }

    /// Takes a line that is said, or that belongs to a file.
    fn hear(&mut self, line: &str, line_number: usize) -> anyhow::Result<()> {
        let Some(Part::Act { said, .. }) = self.parts.last_mut() else {
            anyhow::bail!("line {line_number}: nothing is done before this is said");
        };
        said.push_str(line);
        said.push('\n');
        if let Some(Act::World { what, block }) = self.acts.last_mut()
            && is_file(what)
        {
            block.push_str(line);
            block.push('\n');
        }
        Ok(())
    }

    /// What is said otherwise than in the script, as people compare texts.
    pub(crate) fn differences(&self, played: &[String]) -> String {
        let acts = self.parts.iter().filter_map(|part| match part {
            Part::Act { line, said, line_number } => Some((line, said, line_number)),
            Part::Line(_) => None,
        });
        let mut told = String::new();
        for ((line, said, line_number), (heard, act)) in acts.zip(played.iter().zip(&self.acts)) {
            if said == heard || is_silent(act) {
                continue;
            }
            told.push_str(&format!("line {line_number}: {line}\n"));
            told.push_str(&difference(said, heard));
        }
        told
    }

    /// The script with what was said now.
    pub(crate) fn with(&self, played: &[String]) -> String {
        let mut text = String::new();
        let mut played = played.iter().zip(&self.acts);
        for part in &self.parts {
            match part {
                Part::Line(line) => text.push_str(&format!("{line}\n")),
                Part::Act { line, said, .. } => {
                    let heard = played.next();
                    text.push_str(&format!("{line}\n"));
                    let block = heard.map_or(said, |(heard, act)| if is_silent(act) { said } else { heard });
                    for line in block.lines() {
                        text.push_str(format!("{INDENT}{line}").trim_end());
                        text.push('\n');
                    }
                }
            }
        }
        text
    }
}

/// How a text differs from what was heard, line by line: `-` is missing, `+` is new, and what stays stands between them.
fn difference(said: &str, heard: &str) -> String {
    let (said, heard): (Vec<&str>, Vec<&str>) = (said.lines().collect(), heard.lines().collect());
    let longest = common(&said, &heard);
    let (mut i, mut j, mut told) = (0, 0, String::new());
    while i < said.len() || j < heard.len() {
        let (mark, line) = match (said.get(i), heard.get(j)) {
            (Some(old), Some(new)) if old == new => (' ', *old),
            (Some(old), None) => ('-', *old),
            (Some(old), Some(_)) if longest[i + 1][j] >= longest[i][j + 1] => ('-', *old),
            (_, Some(new)) => ('+', *new),
            (None, None) => break,
        };
        i += usize::from(mark != '+');
        j += usize::from(mark != '-');
        told.push_str(&format!("  {mark} {line}\n"));
    }
    told
}

/// For every two tails of the texts, how many lines they can share in order.
fn common(a: &[&str], b: &[&str]) -> Vec<Vec<usize>> {
    let mut longest = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    longest
}

/// What stands below a file or a clock is its own, not what is said.
fn is_silent(act: &Act) -> bool {
    match act {
        Act::Clock(_) => true,
        Act::World { what, .. } => is_file(what),
        Act::Command { .. } => false,
    }
}

fn is_file(what: &str) -> bool {
    what.starts_with("file ")
}

fn act(line: &str) -> Result<Act, String> {
    if let Some(time) = line.strip_prefix("@ ") {
        let full = format!("{}:00Z", time.trim().replacen(' ', "T", 1));
        return full
            .parse()
            .map(Act::Clock)
            .map_err(|_| format!("`{time}` is no time: expected 2026-12-02 09:00"));
    }
    if let Some(what) = line.strip_prefix("* ") {
        return Ok(Act::World { what: what.trim().to_owned(), block: String::new() });
    }
    let (who, command) = line.split_once("> ").ok_or_else(|| {
        format!("`{line}` is of no kind: expected `@ TIME`, `NAME> COMMAND`, `* WHAT HAPPENS` or `# WORDS`")
    })?;
    let mut words = words(command)?;
    if words.first().is_some_and(|word| word == PROGRAM) {
        words.remove(0);
    }
    Ok(Act::Command { who: who.to_owned(), words })
}

/// Splits a command line: words between spaces, or in single or double quotes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A week.\n\n@ 2026-12-02 09:00\n\ndan> vote nogo --reason 'it is \"bad\"'\n    said\n    more\n\
                        * file policy.toml\n    [suite]\n* tested alpha: all pass\n";

    #[test]
    fn a_script_reads_and_writes_back() {
        let script = Script::parse(TEXT).unwrap();
        let Act::Command { who, words } = &script.acts[1] else { panic!("a command") };
        assert_eq!((who.as_str(), words.join("|")), ("dan", "vote|nogo|--reason|it is \"bad\"".to_owned()));
        assert_eq!(
            script.acts[2],
            Act::World { what: "file policy.toml".to_owned(), block: "[suite]\n".to_owned() }
        );
        let same = ["", "said\nmore\n", "", ""].map(str::to_owned);
        assert_eq!(script.differences(&same), "");
        assert_eq!(script.with(&same), TEXT);
        let other = ["", "other\nmore\n", "", "1 result\n"].map(str::to_owned);
        let told = script.differences(&other);
        assert!(told.contains("  - said\n  + other\n    more\n"), "{told}");
        assert!(told.contains("line 10: * tested alpha: all pass\n  + 1 result"), "{told}");
        let [order, twice] = ["more\nsaid\n", "said\nsaid\nmore\n"];
        for heard in [order, twice] {
            let told = script.differences(&["", heard, "", ""].map(str::to_owned));
            assert_eq!(told.matches("  + ").count(), 1, "order and number count: {told}");
        }
        assert!(script.with(&other).ends_with("* tested alpha: all pass\n    1 result\n"));
    }

    #[test]
    fn the_name_of_the_program_may_stand_before_a_command() {
        let [short, long] = ["dan> today", "dan> stationmaster today"].map(|line| act(line).unwrap());
        assert_eq!(short, long);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, part) in [
            ("    said\n", "line 1: nothing is done"),
            ("\n@ noon\n", "line 2: `noon` is no time"),
            ("what\n", "line 1: `what` is of no kind"),
            ("dan> vote 'go\n", "line 1: a quote is not closed"),
        ] {
            let told = Script::parse(text).unwrap_err().to_string();
            assert!(told.starts_with(part), "{told}");
        }
    }
}
