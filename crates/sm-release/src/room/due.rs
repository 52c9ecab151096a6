//! Which votes of a room the log does not know yet, and whether a vote on record is what its message says. The log is the record;
//! a room is one place where votes come from.

use sm_model::{
    Handle, ItemId, Sha256,
    statement::{Ballot, Choice, Proof, Signed},
};

use super::{
    account::RoomId,
    event::{About, RoomEvent, What},
    tally::{Gone, RoomVote, Tally, advised, guest},
    words::{self, Said},
};
use crate::{
    proof::{Strength, claimed, digest_bytes},
    rules::Maintainers,
    train::state::PollState,
};

/// Votes of advice that a poll takes from a room: stops a crowd of accounts made for the day.
pub const MAX_ADVICE: usize = 100;

/// A vote that is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Who votes.
    pub voter: Handle,
    /// Whether it is a maintainer's.
    pub binding: bool,
    /// What for.
    pub choice: Choice,
    /// Why.
    pub reason: String,
    /// Blockers that it names; those that are not open are left out, so that a slip of the pen lifts no veto.
    pub blockers: Vec<ItemId>,
    /// How it is known.
    pub proof: Proof,
    /// The bytes that the proof has the digest of.
    pub raw: String,
    /// Where people find the message.
    pub link: String,
}

/// What is to be recorded, and what people should know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dues {
    /// Votes, in the order they were sent.
    pub votes: Vec<Due>,
    /// In words.
    pub remarks: Vec<String>,
}

/// Compares a room with the log. `needed` is the weakest proof that makes a vote count; `open_blockers` those of the channel.
pub fn due(
    poll: &PollState,
    room: &RoomId,
    tally: &Tally,
    needed: Strength,
    open_blockers: &[ItemId],
) -> Dues {
    let mut dues = Dues { votes: vec![], remarks: tally.remarks.clone() };
    let mut n_advice = poll.ballots.iter().filter(|ballot| !is_voter(poll, &ballot.statement.voter)).count();
    let mut n_left_out = 0_usize;
    for vote in &tally.votes {
        let last = last_of(poll, &vote.voter);
        if last.is_some_and(|last| is_known(last, vote, open_blockers)) {
            continue;
        }
        let word = vote.choice.word();
        if vote.binding && needed > Strength::Room {
            dues.remarks.push(format!(
                "{} says {word} in the room; here a vote counts when it is signed",
                vote.voter
            ));
        } else if last.is_some_and(|last| claimed(&last.proof) > Strength::Room) {
            dues.remarks.push(format!("{} says {word} in the room; the signed vote stands", vote.voter));
        } else if !vote.binding && n_advice >= MAX_ADVICE {
            n_left_out += 1;
        } else {
            n_advice += usize::from(!vote.binding);
            dues.votes.push(due_of(vote, room, open_blockers));
        }
    }
    if n_left_out > 0 {
        dues.remarks.push(format!("{n_left_out} votes of advice are left out: {MAX_ADVICE} are on record"));
    }
    for (signed, event_id) in standing_from(poll, room, tally) {
        match tally.gone.get(event_id) {
            Some(gone) => {
                let voter = &signed.statement.voter;
                match taken_back(voter, is_voter(poll, voter), gone, room) {
                    Ok(vote) => dues.votes.push(vote),
                    Err(remark) => dues.remarks.push(remark),
                }
            }
            None => dues.remarks.push(format!(
                "the vote of {} is no longer in the room; it stands as recorded",
                signed.statement.voter
            )),
        }
    }
    dues
}

/// Whether a vote is on record, or nothing new beside the one that is. A No-Go whose blockers were all closed can be said again.
fn is_known(last: &Signed<Ballot>, vote: &RoomVote, open_blockers: &[ItemId]) -> bool {
    let Proof::Room { event_id, .. } = &last.proof else { return false };
    let ballot = &last.statement;
    let stands = |id: &ItemId| open_blockers.contains(id);
    let same = (ballot.choice, &ballot.reason) == (vote.choice, &vote.reason)
        && vote.blockers.iter().filter(|id| stands(id)).all(|id| ballot.blockers.contains(id))
        && (vote.choice != Choice::NoGo || !vote.binding || ballot.blockers.iter().any(stands));
    *event_id == vote.event.id || same
}

fn is_voter(poll: &PollState, handle: &Handle) -> bool {
    poll.poll.voters.iter().any(|voter| voter.handle == *handle)
}

fn last_of<'p>(poll: &'p PollState, voter: &Handle) -> Option<&'p Signed<Ballot>> {
    poll.ballots.iter().rfind(|ballot| ballot.statement.voter == *voter)
}

/// Last votes on record that came from this room, of people who have no other standing there.
fn standing_from<'p>(
    poll: &'p PollState,
    room: &RoomId,
    tally: &Tally,
) -> Vec<(&'p Signed<Ballot>, &'p String)> {
    let newest = poll.ballots.iter().enumerate().filter(|(place, ballot)| {
        let voter = &ballot.statement.voter;
        !poll.ballots[place + 1..].iter().any(|later| later.statement.voter == *voter)
    });
    let from_room = newest.filter_map(|(_, signed)| match &signed.proof {
        Proof::Room { room: named, event_id, .. } if named == room.as_str() => Some((signed, event_id)),
        _ => None,
    });
    from_room
        .filter(|(signed, _)| !tally.votes.iter().any(|vote| vote.voter == signed.statement.voter))
        // What was taken back was recorded as an abstention, whose event is not a vote.
        .filter(|(signed, _)| signed.statement.choice != Choice::Abstain)
        .collect()
}

/// The abstention that taking a vote back comes to; an error is a remark.
fn taken_back(voter: &Handle, binding: bool, gone: &Gone, room: &RoomId) -> Result<Due, String> {
    let Some(by) = gone.taken_back() else {
        let who = gone.by.as_ref().map_or_else(|| "somebody".to_owned(), |by| by.sender.to_string());
        return Err(format!("{who} removed the vote of {voter} from the room; it stands as recorded"));
    };
    Ok(Due {
        voter: voter.clone(),
        binding,
        choice: Choice::Abstain,
        reason: "took the vote back".to_owned(),
        blockers: vec![],
        proof: proof_of(by, room),
        raw: by.raw.clone(),
        link: link(room, &by.id),
    })
}

fn proof_of(event: &RoomEvent, room: &RoomId) -> Proof {
    Proof::Room { room: room.as_str().to_owned(), event_id: event.id.clone(), raw: event.digest() }
}

/// Where people find an event (Matrix 1.14, appendix "matrix.to navigation").
pub fn link(room: &RoomId, event_id: &str) -> String {
    format!("https://matrix.to/#/{room}/{event_id}")
}

fn due_of(vote: &RoomVote, room: &RoomId, open_blockers: &[ItemId]) -> Due {
    let is_open = |id: &&ItemId| open_blockers.contains(id);
    Due {
        voter: vote.voter.clone(),
        binding: vote.binding,
        choice: vote.choice,
        reason: vote.reason.clone(),
        blockers: match vote.choice {
            Choice::NoGo => vote.blockers.iter().filter(is_open).copied().collect(),
            Choice::Go | Choice::Abstain => vec![],
        },
        proof: proof_of(&vote.event, room),
        raw: vote.event.raw.clone(),
        link: link(room, &vote.event.id),
    }
}

/// Whether a ballot on record is what the message says that its proof names.
///
/// # Errors
/// What differs, in words.
pub fn check(signed: &Signed<Ballot>, raw: &str, maintainers: &Maintainers) -> Result<(), String> {
    let Proof::Room { room, event_id, raw: digest } = &signed.proof else {
        return Err("it does not come from a room".to_owned());
    };
    same(digest, &digest_bytes(raw.as_bytes()), "the message was changed")?;
    let event = RoomEvent::parse(raw).filter(|event| event.raw == raw).ok_or("the message cannot be read")?;
    same(event_id, &event.id, "it is another message")?;
    same(
        &room.as_str(),
        &event.room.as_ref().map_or(room.as_str(), RoomId::as_str),
        "it is of another room",
    )?;
    let ballot = &signed.statement;
    let person = maintainers.by_account(&event.sender).map(|person| person.handle.clone());
    let binding = person.is_some();
    same(&ballot.voter, &person.unwrap_or_else(|| guest(&event.sender)), "somebody else sent the message")?;
    let (said, edits) = match &event.what {
        What::Message { text, about } => (words::of_message(text), matches!(about, About::Edit(_))),
        What::Reaction { key, .. } => (words::of_reaction(key), false),
        What::Removal => (Said::Nothing, true),
        _ => return Err("the message is no vote".to_owned()),
    };
    let says = match said {
        _ if edits => ballot.choice == Choice::Abstain,
        Said::Vote(words) => {
            let reason = if binding { words.reason } else { advised(&event.sender, &words.reason) };
            let version = words.version.is_none_or(|version| version == ballot.version);
            version && (words.choice, &reason) == (ballot.choice, &ballot.reason)
        }
        Said::Nothing | Said::Unclear(_) => false,
    };
    if says { Ok(()) } else { Err("the message says something else".to_owned()) }
}

fn same<T: PartialEq>(a: &T, b: &T, wrong: &str) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(wrong.to_owned()) }
}

/// Digest of the message that a ballot rests on, when it comes from a room.
pub fn message_of(signed: &Signed<Ballot>) -> Option<Sha256> {
    match &signed.proof {
        Proof::Room { raw, .. } => Some(*raw),
        Proof::Ssh { .. } | Proof::Word => None,
    }
}
