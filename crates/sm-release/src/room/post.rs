//! What is said to a room: the question with the evidence in short, and what came of it. Each post has a transaction id made of what
//! it is about, by which a server knows one that is sent twice, and a mark, by which it is found again.

use serde_json::{Value, json};
use sm_model::{
    Sha256,
    statement::{Choice, Verdict},
};

use super::{
    account::Account,
    event::{RoomEvent, What},
    words::clean,
};
use crate::{
    gate::BoardInputs,
    notes::prose::html_text,
    proof::{Strength, digest_of},
    rules::policy::Context,
    train::{
        State,
        command::Which,
        question::{self, closing},
        state::{PollState, Release},
    },
};

/// How the keys of our own content begin.
pub const MARK_PREFIX: &str = "org.stationmaster.";
/// Lines of a list at most: a post has at most 65 536 bytes.
const MAX_ITEMS: usize = 20;
/// Longest line, in characters.
const MAX_LINE_CHARS: usize = 300;

/// What a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whether it may be published.
    Question,
    /// What came of it.
    Result,
}

impl Kind {
    /// The key of the mark.
    pub const fn key(self) -> &'static str {
        match self {
            Kind::Question => "org.stationmaster.poll",
            Kind::Result => "org.stationmaster.result",
        }
    }
}

/// A message to a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// What it is.
    pub kind: Kind,
    /// Digest of the poll or decision that it is about.
    pub about: Sha256,
    /// Its content, of the type `m.room.message`.
    pub content: Value,
}

impl Post {
    /// The id by which a server knows it when it is sent again: the same for the same post, whoever sends it.
    pub fn transaction(&self) -> String {
        let word = if self.kind == Kind::Question { "poll" } else { "result" };
        format!("stationmaster-{word}-{:.32}", self.about.to_string())
    }

    /// The post among what was said, if it was sent already. Marks of other accounts are worth nothing.
    pub fn find<'e>(&self, me: &Account, timeline: &'e [RoomEvent]) -> Option<&'e RoomEvent> {
        timeline.iter().find(|event| event.sender == *me && self.is_in(event))
    }

    /// Whether an event carries the mark.
    pub fn is_in(&self, event: &RoomEvent) -> bool {
        let What::Notice { marks } = &event.what else { return false };
        marks.get(self.kind.key()).and_then(Value::as_str) == Some(self.about.to_string().as_str())
    }
}

/// A line for people.
enum Line {
    Title(String),
    Text(String),
    Item(String),
}

fn content(kind: Kind, about: Sha256, lines: &[Line], asked: &[String]) -> Value {
    let mut plain = Vec::new();
    let mut html = String::new();
    for line in lines {
        match line {
            Line::Title(text) => html.push_str(&format!("<h4>{}</h4>", html_text(text))),
            Line::Text(text) => html.push_str(&format!("<p>{}</p>", html_text(text))),
            Line::Item(text) => html.push_str(&format!("<ul><li>{}</li></ul>", html_text(text))),
        }
        plain.push(match line {
            Line::Title(text) | Line::Text(text) => text.clone(),
            Line::Item(text) => format!("- {text}"),
        });
    }
    json!({
        "msgtype": "m.notice",
        "body": plain.join("\n"),
        "format": "org.matrix.custom.html",
        "formatted_body": html.replace("</ul><ul>", ""),
        "m.mentions": { "user_ids": asked },
        kind.key(): about.to_string(),
    })
}

fn items(lines: &mut Vec<Line>, texts: &[String]) {
    let shown = texts.iter().take(MAX_ITEMS).map(|text| Line::Item(short(text)));
    lines.extend(shown);
    if texts.len() > MAX_ITEMS {
        lines.push(Line::Item(format!("and {} more", texts.len() - MAX_ITEMS)));
    }
}

fn short(text: &str) -> String {
    clean(text).chars().take(MAX_LINE_CHARS).collect()
}

/// The question about the newest poll of a release. `None` while there is none.
pub fn ask(state: &State, which: Which, now: sm_model::Timestamp) -> Option<Post> {
    let (_, release) = state.release(which.train, which.channel)?;
    let poll = &release.poll()?.poll;
    let about = digest_of(poll);
    let mut lines = vec![
        Line::Title(format!("Go or No-Go? {} {} of train {}", poll.channel, poll.version, poll.train)),
        Line::Text(format!("Evidence {}", poll.evidence)),
    ];
    items(&mut lines, &evidence(release));
    gate(&mut lines, state, which, now);
    lines.push(Line::Text(format!("Votes are open until {} at least.", poll.closes)));
    let needed = state.rules.policy.voting(poll.channel, &poll.urgency).proof;
    lines.push(Line::Text(how(needed, poll.version).to_owned() + " Everybody else's word is advice."));
    let accounts = state.rules.maintainers.iter().filter(|person| person.active);
    let asked: Vec<String> = accounts.flat_map(|person| &person.accounts).map(ToString::to_string).collect();
    Some(Post { kind: Kind::Question, about, content: content(Kind::Question, about, &lines, &asked) })
}

fn how(needed: Strength, version: sm_model::Version) -> String {
    match needed {
        Strength::Signature => {
            "Maintainers vote with a signature: `stationmaster vote go`, `stationmaster vote nogo`."
                .to_owned()
        }
        Strength::Room | Strength::Word => format!(
            "Maintainers: react with 👍 to say Go, or answer this message with `!go`, `!no-go REASON` or `!abstain`. \
             Elsewhere in this room name the version: `!go {version}`. Removing or editing your vote takes it back."
        ),
    }
}

fn evidence(release: &Release) -> Vec<String> {
    let boards = release.boards.iter().flat_map(|(board, state)| {
        let BoardInputs { candidate, results, diff } = &state.inputs;
        let mut lines = vec![format!(
            "{board}: {} packages, /usr has {} MiB, {} test results, manifest {:.12}",
            candidate.packages.len(),
            candidate.usr_size_bytes >> 20,
            results.len(),
            candidate.manifest.to_string()
        )];
        lines.extend(diff.as_ref().map(|diff| {
            format!(
                "{board}: since {}: {} packages differ, {} files gone, {} new set-user-ID files, {}",
                diff.against,
                diff.packages.len(),
                diff.deleted_files.len(),
                diff.new_setuid.len(),
                diff.new_listeners.as_ref().map_or_else(
                    || "listeners were not compared".to_owned(),
                    |listeners| format!("{} new listeners", listeners.len())
                )
            )
        }));
        lines
    });
    let notes = release.notes.as_ref().map(|(digest, _)| format!("release notes {:.12}", digest.to_string()));
    boards.chain(notes).collect()
}

fn gate(lines: &mut Vec<Line>, state: &State, which: Which, now: sm_model::Timestamp) {
    let Some(report) = question::gate(state, which.train, which.channel, Context::Go, now) else { return };
    if report.open {
        lines.push(Line::Text(format!("The gate is open: {} requirements are met.", report.items.len())));
    } else {
        lines.push(Line::Text("The gate is closed:".to_owned()));
        items(lines, &closing(&report));
    }
}

/// What came of the newest poll of a release. `None` while nothing is decided.
pub fn tell(state: &State, which: Which) -> Option<Post> {
    let (_, release) = state.release(which.train, which.channel)?;
    let PollState { decision, ballots, .. } = release.poll()?;
    let signed = decision.as_ref()?;
    let decision = &signed.statement;
    let about = digest_of(signed);
    let judgement = question::judgement(state, which.train, which.channel, decision.at)?;
    let mut lines = vec![
        Line::Title(format!("{} {}: {}", decision.channel, decision.version, decision.verdict.word())),
        Line::Text(judgement.to_string()),
    ];
    let mut said: Vec<String> = Vec::new();
    for (handle, choice) in judgement.binding.iter().chain(&judgement.advisory) {
        let last = ballots.iter().rfind(|ballot| ballot.statement.voter == *handle);
        let reason = last.map(|ballot| ballot.statement.reason.trim()).filter(|reason| !reason.is_empty());
        let word = if *choice == Choice::Abstain {
            "abstains".to_owned()
        } else {
            format!("says {}", choice.word())
        };
        said.push(
            reason.map_or_else(|| format!("{handle} {word}"), |reason| format!("{handle} {word}: {reason}")),
        );
    }
    items(&mut lines, &said);
    if !decision.reasons.is_empty() {
        lines.push(Line::Text("Because:".to_owned()));
        items(&mut lines, &decision.reasons);
    }
    let overrides: Vec<String> =
        decision.overrides.iter().map(|id| format!("override {id} is part of this decision")).collect();
    items(&mut lines, &overrides);
    if decision.verdict == Verdict::Go {
        lines.push(Line::Text(format!("Good until {}.", decision.until)));
    }
    lines.push(Line::Text(format!(
        "Decided by {} on evidence {}. Anybody can compute it again from the exported decision: \
         `stationmaster decision verify FILE`.",
        decision.by, decision.evidence
    )));
    Some(Post { kind: Kind::Result, about, content: content(Kind::Result, about, &lines, &[]) })
}
