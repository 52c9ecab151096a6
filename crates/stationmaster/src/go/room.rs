//! The chat room's part in votes: asking there, recording what is said there, telling there what came of it. Everything works without
//! a room; what a room cannot be told is told later by `go announce`, never twice.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sm_host::{
    fetch::{Bearer, Fetch, HttpFetch, Timeouts},
    files::read_text,
};
use sm_matrix::{Client, Room, room::Reading};
use sm_model::{
    ItemId, exit,
    release_event::{BlockerEvent, Event},
    statement::{Choice, Signed},
};
use sm_release::{
    room::{
        Question, RoomConfig,
        due::{Due, Dues, due},
        post, tally,
    },
    rules::Problem,
    train::{
        Command,
        command::Which,
        draft::{self, Say},
        question,
        state::PollState,
    },
};

use crate::{context::Context, project::Project};

/// The file that names the room, in the folder of rules.
const ROOM_FILE: &str = "room.toml";
/// Largest file that names a room.
const MAX_ROOM_BYTES: u64 = 64 << 10;
/// Longest token.
const MAX_TOKEN_BYTES: u64 = 4096;
/// Longest title of a blocker that a message opens, in characters.
const MAX_TITLE_CHARS: usize = 100;
/// A homeserver takes moments; a room is not worth a minute's silence.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    response: Duration::from_secs(30),
    body: Duration::from_secs(30),
};

/// Which room.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Room where votes are asked for and read [default: `room.toml` in the
    /// folder of rules, if there is one].
    #[arg(long, global = true, value_name = "FILE", env = "STATIONMASTER_ROOM")]
    room: Option<PathBuf>,
}

/// What can go wrong with a room, beside the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// The file has mistakes.
    #[error("`{file}` has mistakes\n{}", list(.problems))]
    Config {
        /// Which file.
        file: String,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// Others can read the token.
    #[error("others can read the token file `{0}`")]
    TokenForOthers(String),
    /// The file holds no token.
    #[error("`{0}` holds no access token: expected one line without spaces")]
    NoToken(String),
    /// No room is named.
    #[error("no room is named")]
    NoRoom,
    /// The question was asked elsewhere.
    #[error("votes are asked for in `{asked}`, and `{named}` is named")]
    OtherRoom {
        /// Where it was asked.
        asked: String,
        /// Which room the file names.
        named: String,
    },
    /// The room was not asked.
    #[error("no votes are asked for in a room")]
    NotAsked,
    /// Votes are over.
    #[error("these votes are closed: what is said in the room now counts for nothing")]
    Closed,
    /// Votes are void.
    #[error("these votes are void: the evidence has changed since they were opened")]
    Stale,
    /// It is on record, and the room does not know it.
    #[error("this is on record, but the room was not told")]
    Untold(#[source] sm_matrix::Error),
    /// What the room says is not known.
    #[error("the votes were not closed: the room has to be read first")]
    Unread(#[source] anyhow::Error),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

impl RoomError {
    /// The next step.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            RoomError::Config { .. } => "see `docs/matrix.md`",
            RoomError::TokenForOthers(_) => "make it yours alone: `chmod 600 FILE`",
            RoomError::NoToken(_) => "log in with a fixed device id, as `docs/matrix.md` says",
            RoomError::NoRoom => "write `room.toml` beside the policy, or give `--room FILE`",
            RoomError::OtherRoom { .. } => "give the file of that room with `--room FILE`",
            RoomError::Closed => "look at what was decided: `stationmaster go status`",
            RoomError::Stale => "open votes anew: `stationmaster go open`",
            RoomError::NotAsked | RoomError::Untold(_) => "tell the room with `stationmaster go announce`",
            RoomError::Unread(_) => "try again, or close with the votes that are on record: `--without-room`",
        };
        Some(hint.to_owned())
    }

    /// Exit code of a program that ends with this.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            RoomError::Untold(_) => exit::NETWORK,
            RoomError::Config { .. } | RoomError::TokenForOthers(_) | RoomError::NoToken(_) => {
                exit::INVALID_INPUT
            }
            RoomError::Unread(source) => {
                let known = source.downcast_ref::<sm_matrix::Error>().map(sm_matrix::Error::exit_code);
                known.unwrap_or(exit::FAILURE)
            }
            RoomError::Closed | RoomError::Stale => exit::NEGATIVE,
            _ => exit::FAILURE,
        }
    }
}

/// A room that can be spoken to.
pub(super) struct Talk<'a> {
    config: RoomConfig,
    token: Bearer,
    fetch: HttpFetch,
    ctx: &'a Context<'a>,
}

impl<'a> Talk<'a> {
    /// The room that is named, if one is.
    pub(super) fn open(
        place: &Place,
        rules: &Path,
        ctx: &'a Context<'a>,
    ) -> anyhow::Result<Option<Talk<'a>>> {
        let beside = rules.join(ROOM_FILE);
        let file = place.room.clone().or_else(|| beside.exists().then_some(beside));
        let Some(file) = file else { return Ok(None) };
        let config = RoomConfig::parse(&read_text(&file, MAX_ROOM_BYTES)?)
            .map_err(|problems| RoomError::Config { file: file.display().to_string(), problems })?;
        let token = read_token(&file.parent().unwrap_or(Path::new(".")).join(&config.token_file))?;
        let fetch = HttpFetch::new("stationmaster", TIMEOUTS);
        Ok(Some(Talk { config, token, fetch, ctx }))
    }

    fn inside<T>(
        &self,
        act: impl FnOnce(&Room<'_>) -> Result<T, sm_matrix::Error>,
    ) -> Result<T, sm_matrix::Error> {
        let fetch: &dyn Fetch = self.ctx.chat.unwrap_or(&self.fetch);
        let client = Client::new(&self.config.homeserver, self.token.clone(), fetch, self.ctx.clock);
        act(&Room::enter(&client, self.config.room.clone())?)
    }

    /// Posts what is not in the room yet: the question, and what came of it.
    pub(super) fn announce(&self, project: &mut Project<'_>, which: Which) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        let Some(poll) = poll(project, which) else { return Ok(events) };
        let (is_asked, is_decided) = (poll.announced.is_some(), poll.decision.is_some());
        if !is_asked && !is_decided {
            let question = post::ask(&project.state, which, project.now).ok_or(RoomError::NotAsked)?;
            let event_id = self.inside(|room| room.post(&question)).map_err(RoomError::Untold)?;
            let room = self.config.room.to_string();
            events.extend(project.ask_once(Command::Announce { which, room, event_id })?);
        }
        if is_asked && is_decided {
            let result = post::tell(&project.state, which).ok_or(RoomError::NotAsked)?;
            self.inside(|room| room.post(&result)).map_err(RoomError::Untold)?;
        }
        Ok(events)
    }

    /// Records what was said in the room. Remarks go to the person at the keyboard.
    pub(super) fn read(&self, project: &mut Project<'_>, which: Which) -> anyhow::Result<Vec<Event>> {
        if poll(project, which).is_some_and(|poll| poll.decision.is_some()) {
            return Err(RoomError::Closed.into());
        }
        if !question::is_current(&project.state, which.train, which.channel) {
            return Err(RoomError::Stale.into());
        }
        let asked =
            poll(project, which).and_then(|poll| poll.announced.clone()).ok_or(RoomError::NotAsked)?;
        let (asked, post) = asked;
        let named = self.config.room.to_string();
        if asked != named {
            return Err(RoomError::OtherRoom { asked, named }.into());
        }
        let (reading, me) = self.inside(|room| Ok((room.since(&post)?, room.me().clone())))?;
        let dues = self.dues(project, which, &post, &me, &reading).ok_or(RoomError::NotAsked)?;
        self.remark(&dues.remarks)?;
        let mut events = Vec::new();
        for due in &dues.votes {
            events.extend(record(project, which, due)?);
        }
        Ok(events)
    }

    /// Remarks are for whoever reads along: data is not mixed with them.
    fn remark(&self, remarks: &[String]) -> anyhow::Result<()> {
        for remark in remarks {
            match self.ctx.json {
                true => self.ctx.progress.note(remark),
                false => self.ctx.line(format!("note: {remark}"))?,
            }
        }
        Ok(())
    }

    fn dues(
        &self,
        project: &Project<'_>,
        which: Which,
        post: &str,
        me: &sm_release::room::Account,
        reading: &Reading,
    ) -> Option<Dues> {
        let state = &project.state;
        let poll = poll(project, which)?;
        let question = Question {
            poll: &poll.poll,
            room: &self.config.room,
            post,
            me,
            maintainers: &state.rules.maintainers,
            members: &reading.members,
        };
        let tally = tally(&question, &reading.timeline);
        let needed = state.rules.policy.voting(which.channel, &poll.poll.urgency).proof;
        let open = state.open_blockers(which.channel);
        Some(due(poll, &self.config.room, &tally, needed, &open))
    }
}

/// The poll that is meant: the newest of the release.
pub(super) fn poll<'p>(project: &'p Project<'_>, which: Which) -> Option<&'p PollState> {
    project.state.release(which.train, which.channel).and_then(|(_, release)| release.poll())
}

fn read_token(path: &Path) -> anyhow::Result<Bearer> {
    let name = || path.display().to_string();
    let text = read_text(path, MAX_TOKEN_BYTES)?;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        return Err(RoomError::TokenForOthers(name()).into());
    }
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(RoomError::NoToken(name()).into());
    }
    Ok(Bearer(token.to_owned()))
}

/// Keeps the message, opens the blocker that a No-Go needs, and records the vote. The blocker names the message, so that after a crash
/// the same one is found.
fn record(project: &mut Project<'_>, which: Which, due: &Due) -> anyhow::Result<Vec<Event>> {
    project.blobs().put(due.raw.as_bytes())?;
    let mut events = Vec::new();
    let mut blockers = due.blockers.clone();
    if due.choice == Choice::NoGo && due.binding && blockers.is_empty() {
        let id = match open_for(project, which, due) {
            Some(id) => Some(id),
            None => {
                let title: String = due.reason.chars().take(MAX_TITLE_CHARS).collect();
                let (channels, issue) = (vec![which.channel], due.link.clone());
                events.extend(project.ask_once(Command::OpenBlocker { title, channels, issue })?);
                opened(&events)
            }
        };
        blockers.extend(id);
    }
    events.extend(project.ask(|project| {
        let (voter, reason) = (due.voter.clone(), due.reason.clone());
        let say = Say { voter, choice: due.choice, reason, blockers: blockers.clone() };
        let statement = draft::ballot(&project.state, which.train, which.channel, say, project.now)?;
        Ok(Command::Cast(Signed { statement, proof: due.proof.clone() }))
    })?);
    Ok(events)
}

fn open_for(project: &Project<'_>, which: Which, due: &Due) -> Option<ItemId> {
    let open = project.state.open_blockers(which.channel);
    open.into_iter()
        .find(|id| project.state.blockers.get(id).is_some_and(|blocker| blocker.issue == due.link))
}

fn opened(events: &[Event]) -> Option<ItemId> {
    events.iter().find_map(|event| match event {
        Event::Blocker(BlockerEvent::Opened { id, .. }) => Some(*id),
        _ => None,
    })
}
