//! What happens in the chat room of a script.
//!
//! ```text
//! * room
//! * in the room, alice answers: !go
//! * in the room, alice says: !go 4902.0.0
//! * in the room, alice reacts: 👍
//! * in the room, alice edits: never mind
//! * in the room, alice removes what bob said
//! * in the room, alice leaves
//! * in the room, nothing works
//! * in the room, everything works
//! ```

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::{Context as _, bail};
use sm_matrix::fake::{ADDRESS, BOT, ROOM, TOKEN};
use sm_release::room::post::Kind;

use super::stage::Stage;

fn account(name: &str) -> String {
    format!("@{name}:localhost")
}

/// Makes a room, of which every maintainer is a member.
pub(super) fn open(stage: &Stage) -> anyhow::Result<String> {
    let token = stage.path("rules/token");
    fs::write(&token, TOKEN)?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600))?;
    let room = format!("homeserver = \"{ADDRESS}\"\nroom = \"{ROOM}\"\ntoken-file = \"token\"\n");
    fs::write(stage.path("rules/room.toml"), room)?;
    let people = stage.path("rules/maintainers.toml");
    let mut text = String::new();
    for line in fs::read_to_string(&people).context("nobody is a maintainer yet")?.lines() {
        text.push_str(&format!("{line}\n"));
        if let Some(name) = line.strip_prefix("handle = ") {
            let account = account(name.trim_matches('"'));
            text.push_str(&format!("accounts = \"{account}\"\n"));
            stage.chat.join(&account);
        }
    }
    fs::write(&people, text)?;
    Ok(String::new())
}

/// `the room, WHO DOES: WHAT`.
pub(super) fn happen(stage: &Stage, rest: &str) -> anyhow::Result<String> {
    let what = rest.strip_prefix("the room, ").context("expected `in the room, …`")?;
    match what {
        "nothing works" => stage.chat.set_down(true),
        "everything works" => stage.chat.set_down(false),
        _ => speak(stage, what)?,
    }
    Ok(String::new())
}

fn speak(stage: &Stage, what: &str) -> anyhow::Result<()> {
    let (name, does) = what.split_once(' ').context("expected somebody and what they do")?;
    let (verb, text) = does.split_once(": ").unwrap_or((does, ""));
    let who = account(name);
    if verb == "leaves" {
        stage.chat.leave(&who);
        return Ok(());
    }
    stage.chat.join(&who);
    match verb {
        "says" => drop(stage.chat.say(&who, text, None)),
        "answers" => drop(stage.chat.say(&who, text, Some(&question(stage)?))),
        "reacts" => drop(stage.chat.react(&who, text, &question(stage)?)),
        "edits" => drop(stage.chat.edit(&who, &last_of(stage, &who)?, text)),
        _ => {
            let other = does.strip_prefix("removes what ").and_then(|rest| rest.strip_suffix(" said"));
            let Some(other) = other else { bail!("`{does}` is nothing that is done in a room") };
            stage.chat.remove(&who, &last_of(stage, &account(other))?);
        }
    }
    Ok(())
}

/// The newest question in the room.
fn question(stage: &Stage) -> anyhow::Result<String> {
    let asks = |event: &serde_json::Value| {
        event["sender"] == BOT && event["content"].get(Kind::Question.key()).is_some()
    };
    id_of_last(stage, asks).context("nothing is asked in the room")
}

fn last_of(stage: &Stage, account: &str) -> anyhow::Result<String> {
    let is_theirs =
        |event: &serde_json::Value| event["sender"] == account && event["type"] != "m.room.redaction";
    id_of_last(stage, is_theirs).with_context(|| format!("{account} has said nothing"))
}

fn id_of_last(stage: &Stage, wanted: impl Fn(&serde_json::Value) -> bool) -> Option<String> {
    let events = stage.chat.events();
    events.iter().rfind(|event| wanted(event)).and_then(|event| event["event_id"].as_str().map(str::to_owned))
}
