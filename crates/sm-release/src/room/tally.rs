//! Everybody's last word in a room about one poll, in the order of the server that is asked: the times that senders' servers put
//! on events are theirs to choose. Computed anew from the whole timeline at every reading, so that nothing depends on when it was read.

use std::collections::{BTreeMap, BTreeSet};

use sm_model::{
    Handle, ItemId,
    statement::{Choice, Poll},
};

use super::{
    account::{Account, RoomId},
    event::{About, RoomEvent, What},
    words::{self, Said, Words},
};
use crate::{proof::digest_bytes, rules::Maintainers};

/// What is asked in a room.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The poll.
    pub poll: &'a Poll,
    /// The room.
    pub room: &'a RoomId,
    /// Id of the post that asks.
    pub post: &'a str,
    /// The account that posted it: what it says is no vote.
    pub me: &'a Account,
    /// Whose accounts count.
    pub maintainers: &'a Maintainers,
    /// Who is in the room now.
    pub members: &'a BTreeSet<Account>,
}

/// A vote in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomVote {
    /// For whom it counts: a maintainer, or an account by a name made of its id.
    pub voter: Handle,
    /// Whether it is a maintainer's.
    pub binding: bool,
    /// What for.
    pub choice: Choice,
    /// Why.
    pub reason: String,
    /// Blockers that it names.
    pub blockers: Vec<ItemId>,
    /// The message or reaction.
    pub event: RoomEvent,
}

/// A message or reaction that is gone or was written over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Whose it was.
    pub account: Account,
    /// The event by which it went, where the server tells.
    pub by: Option<RoomEvent>,
}

impl Gone {
    /// The event by which the sender took it back. Moderators can hide what somebody said; they cannot unsay it.
    pub fn taken_back(&self) -> Option<&RoomEvent> {
        self.by.as_ref().filter(|by| by.sender == self.account)
    }
}

/// What a room comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Everybody's last standing vote, in the order they were sent.
    pub votes: Vec<RoomVote>,
    /// What does not stand any more, by the event's id.
    pub gone: BTreeMap<String, Gone>,
    /// What people should know: things that look like votes and are none.
    pub remarks: Vec<String>,
}

/// Somebody who speaks in a room.
enum Speaker {
    Maintainer(Handle),
    Guest(Handle),
}

/// The name under which an account's advice is on record: made of its whole id, so that nobody can choose it.
pub fn guest(account: &Account) -> Handle {
    let digest = digest_bytes(account.as_str().as_bytes()).to_string();
    format!("room-{digest:.12}").parse().expect("hexadecimal digits after a word are a short name")
}

/// A reason of advice: it begins with the account, because nobody knows it by the name on record.
pub(super) fn advised(account: &Account, reason: &str) -> String {
    if reason.is_empty() { account.to_string() } else { format!("{account}: {reason}") }
}

/// Counts. `timeline` has the oldest event first.
pub fn tally(question: &Question<'_>, timeline: &[RoomEvent]) -> Tally {
    let mut tally = Tally::default();
    let mut last: BTreeMap<Handle, (usize, RoomVote)> = BTreeMap::new();
    let mut remarks: Vec<(usize, Handle, String)> = Vec::new();
    let timeline = after_post(question, timeline);
    tally.gone = gone(&timeline);
    for (place, event) in timeline.iter().enumerate() {
        if event.sender == *question.me || tally.gone.contains_key(&event.id) {
            continue;
        }
        match question.vote(event) {
            Ok(Some(vote)) => {
                last.insert(vote.voter.clone(), (place, vote));
            }
            Ok(None) => {}
            Err((who, remark)) => remarks.push((place, who, remark)),
        }
    }
    // What somebody said clearly afterwards needs no remark.
    remarks.retain(|(place, who, _)| last.get(who).is_none_or(|(voted, _)| voted < place));
    tally.remarks = remarks.into_iter().map(|(_, _, remark)| remark).collect();
    tally.remarks.dedup();
    let mut votes: Vec<(usize, RoomVote)> = last.into_values().collect();
    votes.sort_by_key(|(place, _)| *place);
    tally.votes = votes.into_iter().map(|(_, vote)| vote).collect();
    tally
}

/// What was sent after the question, each event once, however often a server gives it, and nothing of other rooms.
fn after_post<'e>(question: &Question<'_>, timeline: &'e [RoomEvent]) -> Vec<&'e RoomEvent> {
    let asked = timeline.iter().position(|event| event.id == question.post);
    let mut seen = BTreeSet::new();
    let later = timeline.iter().skip(asked.map_or(0, |place| place + 1));
    later
        .filter(|event| event.room.as_ref().is_none_or(|room| room == question.room))
        .filter(|event| event.id != question.post && seen.insert(&event.id))
        .collect()
}

fn gone(timeline: &[&RoomEvent]) -> BTreeMap<String, Gone> {
    let senders: BTreeMap<&str, &Account> =
        timeline.iter().map(|event| (event.id.as_str(), &event.sender)).collect();
    let mut gone = BTreeMap::new();
    for event in timeline {
        match &event.what {
            What::Removed { by } => {
                let by = by.as_deref().cloned();
                gone.insert(event.id.clone(), Gone { account: event.sender.clone(), by });
            }
            // Only who wrote a message can write it anew (section "Event replacements").
            What::Message { about: About::Edit(of), .. }
                if senders.get(of.as_str()) == Some(&&event.sender) =>
            {
                let by = Some((*event).clone());
                gone.entry(of.clone()).or_insert_with(|| Gone { account: event.sender.clone(), by });
            }
            _ => {}
        }
    }
    gone
}

impl Question<'_> {
    /// The vote that an event is; an error is a remark about somebody.
    fn vote(&self, event: &RoomEvent) -> Result<Option<RoomVote>, (Handle, String)> {
        let speaker = self.speaker(&event.sender);
        let is_known = matches!(speaker, Speaker::Maintainer(_));
        let remark = |what: &str| {
            let who = name(&speaker);
            (who.clone(), format!("{who} ({}): {what}", event.sender))
        };
        let said = match self.said(event) {
            Said::Nothing => {
                let hidden = matches!(event.what, What::Encrypted) && is_known;
                return if hidden { Err(remark("an encrypted message cannot be read")) } else { Ok(None) };
            }
            Said::Unclear(why) if is_known => return Err(remark(&format!("not counted: {why}"))),
            Said::Unclear(_) => return Ok(None),
            Said::Vote(words) => words,
        };
        if !self.members.contains(&event.sender) {
            return if is_known { Err(remark("not counted: no longer in the room")) } else { Ok(None) };
        }
        Ok(Some(vote_of(speaker, said, event)))
    }

    fn speaker(&self, account: &Account) -> Speaker {
        let person = self.maintainers.by_account(account).filter(|_| !account.is_puppet());
        let asked =
            person.filter(|person| self.poll.voters.iter().any(|voter| voter.handle == person.handle));
        asked.map_or_else(
            || Speaker::Guest(guest(account)),
            |person| Speaker::Maintainer(person.handle.clone()),
        )
    }

    /// What an event says about this poll.
    fn said(&self, event: &RoomEvent) -> Said {
        match &event.what {
            What::Reaction { key, to } if to == self.post => words::of_reaction(key),
            What::Message { text, about } => self.about_this(words::of_message(text), about),
            _ => Said::Nothing,
        }
    }

    /// A message is about this poll when it answers the post, or names the version.
    fn about_this(&self, said: Said, about: &About) -> Said {
        let answers = matches!(about, About::Answer(events) if events.iter().any(|id| id == self.post));
        match (said, about) {
            (_, About::Edit(_)) => Said::Nothing,
            (Said::Vote(words), _) => match words.version {
                Some(version) if version == self.poll.version => Said::Vote(words),
                // It is about another release, and counted there.
                Some(_) => Said::Nothing,
                None if answers => Said::Vote(words),
                None => Said::Unclear("it answers no question and names no version: `!go VERSION`"),
            },
            (Said::Unclear(why), _) if answers => Said::Unclear(why),
            _ => Said::Nothing,
        }
    }
}

fn name(speaker: &Speaker) -> &Handle {
    match speaker {
        Speaker::Maintainer(handle) | Speaker::Guest(handle) => handle,
    }
}

fn vote_of(speaker: Speaker, words: Words, event: &RoomEvent) -> RoomVote {
    let Words { choice, reason, blockers, .. } = words;
    let (voter, binding, reason) = match speaker {
        Speaker::Maintainer(handle) => (handle, true, reason),
        Speaker::Guest(handle) => (handle, false, advised(&event.sender, &reason)),
    };
    RoomVote { voter, binding, choice, reason, blockers, event: event.clone() }
}
