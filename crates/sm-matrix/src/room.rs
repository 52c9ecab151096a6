//! A room: posts that are there once however often they are sent, and everything that was said since one of them.

use std::collections::BTreeSet;

use sm_release::room::{Account, Page, RoomEvent, account::RoomId, event::MAX_PAGE_BYTES, post::Post};

use crate::{Client, Error, wire};

/// Pages that are read at most: with the servers' usual hundred events, ten thousand of them.
pub const MAX_PAGES: usize = 100;
/// Pages in which an earlier copy of a post is looked for.
pub const MAX_PAGES_SEARCHED: usize = 10;

/// One room, seen with one account.
#[derive(Debug)]
pub struct Room<'a> {
    client: &'a Client<'a>,
    id: RoomId,
    me: Account,
}

/// Everything that was said since a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Events in the server's order, the post first.
    pub timeline: Vec<RoomEvent>,
    /// Who is in the room.
    pub members: BTreeSet<Account>,
}

impl<'a> Room<'a> {
    /// Enters a room.
    ///
    /// # Errors
    /// When the server cannot be reached, the account is not in the room, or nobody could read votes there.
    pub fn enter(client: &'a Client<'a>, id: RoomId) -> Result<Room<'a>, Error> {
        let room = Room { client, id, me: client.whoami()? };
        if room.is_encrypted()? {
            return Err(Error::Encrypted);
        }
        Ok(room)
    }

    /// The account that we are.
    pub fn me(&self) -> &Account {
        &self.me
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    fn is_encrypted(&self) -> Result<bool, Error> {
        let what = "ask whether the room is encrypted";
        let url = wire::encryption(self.client.homeserver(), &self.id);
        match self.client.get(what, url, wire::MAX_ANSWER_BYTES) {
            Ok(_) => Ok(true),
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Who is in the room.
    ///
    /// # Errors
    /// When the server does not tell.
    pub fn members(&self) -> Result<BTreeSet<Account>, Error> {
        let what = "ask who is in the room";
        let url = wire::members(self.client.homeserver(), &self.id);
        let bytes = self.client.get(what, url, wire::MAX_MEMBERS_BYTES)?;
        let members = wire::read_members(&bytes).ok_or(Error::Answer { what })?;
        if members.contains(&self.me) { Ok(members) } else { Err(Error::NotIn(self.me.clone())) }
    }

    /// Posts, unless it was posted before, and gives the post's id. Servers know a transaction id only for a while, and only of the
    /// same device: so the room is searched first.
    ///
    /// # Errors
    /// When the server cannot be reached or says no.
    pub fn post(&self, post: &Post) -> Result<String, Error> {
        let mut found = None;
        self.back(MAX_PAGES_SEARCHED, |event| {
            let is_it = event.sender == self.me && post.is_in(event);
            if is_it {
                found = Some(event.id.clone());
            }
            is_it
        })?;
        if let Some(id) = found {
            return Ok(id);
        }
        let what = "post to the room";
        let url = wire::send(self.client.homeserver(), &self.id, &post.transaction());
        let bytes = self.client.put(what, url, &post.content)?;
        wire::read_sent(&bytes).ok_or(Error::Answer { what })
    }

    /// Everything since a post of ours.
    ///
    /// # Errors
    /// When the server cannot be reached, gives no sense, or the post is too far back or gone.
    pub fn since(&self, post: &str) -> Result<Reading, Error> {
        let mut timeline = Vec::new();
        let seen = self.back(MAX_PAGES, |event| {
            timeline.push(event.clone());
            event.id == post
        })?;
        match seen {
            Seen::Wanted => {}
            Seen::Beginning => return Err(Error::NoQuestion),
            Seen::Enough => return Err(Error::TooFar { max_pages: MAX_PAGES }),
        }
        timeline.reverse();
        // Asked last, so that nobody who spoke and left in between counts as being here.
        Ok(Reading { timeline, members: self.members()? })
    }

    /// Goes back from the newest event until `wanted` says so.
    fn back(&self, max_pages: usize, mut wanted: impl FnMut(&RoomEvent) -> bool) -> Result<Seen, Error> {
        let mut tokens = BTreeSet::new();
        let mut from: Option<String> = None;
        for _ in 0..max_pages {
            let url = wire::messages(self.client.homeserver(), &self.id, from.as_deref());
            let bytes = self.client.get("read the room", url, MAX_PAGE_BYTES as u64)?;
            let page = Page::parse(&bytes)?;
            if page.events.iter().any(&mut wanted) {
                return Ok(Seen::Wanted);
            }
            let Some(end) = page.end else { return Ok(Seen::Beginning) };
            if !tokens.insert(end.clone()) {
                return Err(Error::Circle);
            }
            from = Some(end);
        }
        Ok(Seen::Enough)
    }
}

/// Where going back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Wanted,
    Beginning,
    Enough,
}
