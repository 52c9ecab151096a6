//! A project in memory: people with keys, a policy, and a log that only `decide` writes.

use sm_model::{
    Board, Channel, Handle, ItemId, Sha256, Timestamp, TrainId,
    evidence::{Candidate, ImageDiff, RuleFile, TestLine},
    release_event::{Envelope, Event, EvidenceEvent, StepResult},
    statement::{Choice, Decision},
    test_report::{AttemptOutcome, Isolation},
    train::{Move, Urgency},
};
use sm_release::{
    proof::PrivateKey,
    train::{
        Command, Refusals, State, apply,
        command::Which,
        decide,
        draft::{self, Say},
    },
};

pub(crate) const PEOPLE: [(&str, &str); 4] =
    [("alice", "build"), ("bob", "test"), ("carol", "security"), ("dan", "publish")];

pub(crate) const POLICY: &str = r#"
[suite]
tests = ["boot.uefi", "update.apply"]
[[policy]]
id = "go-all"
context = "go"
channels = "all"
[[policy.require]]
tests = "update.apply"
level = "never-waive"
[[policy.require]]
tests = "boot.uefi"
level = "blocking"
[[policy.require]]
fact = "blockers.open"
max = 0
level = "blocking"
[[policy]]
id = "publish-all"
context = "publish"
channels = "all"
[[policy.require]]
tests = "update.apply"
level = "never-waive"
"#;

pub(crate) fn key(name: &str) -> PrivateKey {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    PrivateKey::from_seed(&seed, name).unwrap()
}

pub(crate) fn handle(name: &str) -> Handle {
    name.parse().unwrap()
}

pub(crate) fn board() -> Board {
    "amd64-usr".parse().unwrap()
}

pub(crate) fn maintainers() -> String {
    let person = |(name, role): &(&str, &str)| {
        let key = key(name).public_text().unwrap();
        format!("[[maintainer]]\nhandle = \"{name}\"\nroles = [\"{role}\"]\nkeys = [\"{key}\"]\n")
    };
    PEOPLE.iter().map(person).collect()
}

/// The log, and the state that it comes to.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) log: Vec<Envelope>,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
}

impl World {
    /// A project with rules, at a time of Wednesday, 2 December 2026.
    pub(crate) fn new(time: &str) -> World {
        let now = format!("2026-12-02T{time}:00Z").parse().unwrap();
        let mut world = World { log: vec![], state: State::default(), now };
        world.adopt(RuleFile::Policy, POLICY);
        world.adopt(RuleFile::Maintainers, &maintainers());
        world
    }

    pub(crate) fn adopt(&mut self, file: RuleFile, text: &str) {
        self.say("alice", Command::Adopt { file, text: text.to_owned() }).unwrap();
    }

    /// Asks, and records what it comes to.
    pub(crate) fn say(&mut self, by: &str, command: Command) -> Result<Vec<Event>, Refusals> {
        let events = decide(&self.state, &handle(by), command, self.now)?;
        for body in &events {
            let seq = self.state.seq + 1;
            let envelope = Envelope { seq, at: self.now, by: handle(by), body: body.clone() };
            apply(&mut self.state, &envelope);
            self.log.push(envelope);
        }
        Ok(events)
    }

    pub(crate) fn refused(&mut self, by: &str, command: Command) -> Vec<&'static str> {
        self.say(by, command).expect_err("the wish must be refused").codes()
    }

    pub(crate) fn at(&mut self, time: &str) {
        self.now = time.parse().unwrap();
    }

    pub(crate) fn wait(&mut self, secs: i64) {
        self.now = Timestamp::from_unix_secs(self.now.unix_secs() + secs).unwrap();
    }

    pub(crate) fn open(
        &mut self,
        day: &str,
        wanted: &[(Channel, Option<Move>)],
    ) -> Result<TrainId, Refusals> {
        let day = day.parse().unwrap();
        let (urgency, team) = (Urgency::Normal, [].into());
        let open = Command::Open { day, urgency, coordinator: handle("dan"), team, wanted: wanted.to_vec() };
        let before = self.state.trains.keys().copied().collect::<Vec<_>>();
        self.say("dan", open)?;
        Ok(*self.state.trains.keys().find(|id| !before.contains(id)).unwrap())
    }

    pub(crate) fn candidate(&self, which: Which, n: u8) -> Candidate {
        let (_, release) = self.state.release(which.train, which.channel).unwrap();
        Candidate {
            manifest: Sha256([n; 32]),
            version: release.plan.version,
            usr_size_bytes: 1000,
            packages: [("bash".parse().unwrap(), "5.2-1".parse().unwrap())].into(),
        }
    }

    pub(crate) fn compose(&mut self, which: Which, n: u8) -> Result<Vec<Event>, Refusals> {
        let Which { train, channel } = which;
        let candidate = self.candidate(which, n);
        self.say(
            "build-bot",
            Command::Record(EvidenceEvent::Composed { train, channel, board: board(), candidate }),
        )
    }

    pub(crate) fn test(
        &mut self,
        which: Which,
        n: u8,
        results: &[(&str, AttemptOutcome)],
    ) -> Result<Vec<Event>, Refusals> {
        let Which { train, channel } = which;
        let line = |(test, outcome): &(&str, AttemptOutcome)| TestLine {
            test: test.parse().unwrap(),
            scenario: [("firmware".to_owned(), "uefi".to_owned())].into(),
            isolation: Isolation::Suite,
            outcome: outcome.clone(),
            signature: None,
        };
        let results = results.iter().map(line).collect();
        let report = Sha256([n.wrapping_add(100); 32]);
        let tested = EvidenceEvent::Tested {
            train,
            channel,
            board: board(),
            subject: Sha256([n; 32]),
            report,
            results,
        };
        self.say("test-bot", Command::Record(tested))
    }

    pub(crate) fn compare(&mut self, which: Which, n: u8) -> Result<Vec<Event>, Refusals> {
        let Which { train, channel } = which;
        let diff = ImageDiff {
            document: Sha256([n.wrapping_add(50); 32]),
            against: "4890.0.0".parse().unwrap(),
            old_usr_size_bytes: 1000,
            new_usr_size_bytes: 1000,
            packages: vec![],
            deleted_files: vec![],
            new_setuid: vec![],
            new_listeners: Some(vec![]),
        };
        let compared =
            EvidenceEvent::Compared { train, channel, board: board(), subject: Sha256([n; 32]), diff };
        self.say("test-bot", Command::Record(compared))
    }

    pub(crate) fn notes(&mut self, which: Which) -> Result<Vec<Event>, Refusals> {
        let Which { train, channel } = which;
        let notes = Sha256([7; 32]);
        let accepted = EvidenceEvent::NotesAccepted { train, channel, notes, missing_fragments: vec![] };
        self.say("dan", Command::Record(accepted))
    }

    /// Ticks off steps that people do.
    pub(crate) fn tick(&mut self, which: Which, train_steps: &[&str], channel_steps: &[&str]) {
        let done = StepResult::Done { evidence: "seen".to_owned() };
        let places = train_steps.iter().map(|step| (step, None));
        let places: Vec<_> =
            places.chain(channel_steps.iter().map(|step| (step, Some(which.channel)))).collect();
        for (step, channel) in places {
            let (train, step, result) = (which.train, step.parse().unwrap(), done.clone());
            self.say("dan", Command::EndStep { train, step, channel, result }).unwrap();
        }
    }

    /// Everything before votes: composed, tested, compared, noted.
    pub(crate) fn ready_for_votes(&mut self, which: Which, n: u8) {
        self.compose(which, n).unwrap();
        let passed = [("boot.uefi", AttemptOutcome::Pass), ("update.apply", AttemptOutcome::Pass)];
        self.test(which, n, &passed).unwrap();
        self.compare(which, n).unwrap();
        self.notes(which).unwrap();
    }

    pub(crate) fn vote(
        &mut self,
        which: Which,
        voter: &str,
        choice: Choice,
        blockers: &[ItemId],
    ) -> Result<Vec<Event>, Refusals> {
        let say = Say {
            voter: handle(voter),
            choice,
            reason: "looked at it".to_owned(),
            blockers: blockers.to_vec(),
        };
        let ballot = draft::ballot(&self.state, which.train, which.channel, say, self.now)?;
        let signed = key(voter).sign(ballot).unwrap();
        self.say(voter, Command::Cast(signed))
    }

    pub(crate) fn drafted(&self, which: Which, by: &str) -> Decision {
        draft::decision(&self.state, which.train, which.channel, handle(by), self.now).unwrap()
    }

    pub(crate) fn close(&mut self, which: Which, by: &str) -> Result<Vec<Event>, Refusals> {
        let decision = draft::decision(&self.state, which.train, which.channel, handle(by), self.now)?;
        let signed = key(by).sign(decision).unwrap();
        self.say(by, Command::Decide(signed))
    }

    /// Opens votes and gets a Go out of three voters, hours later.
    pub(crate) fn go(&mut self, which: Which) {
        self.say("dan", Command::OpenPoll(which)).unwrap();
        for voter in ["alice", "bob", "carol"] {
            self.vote(which, voter, Choice::Go, &[]).unwrap();
        }
        let closes = self.state.release(which.train, which.channel).unwrap().1.poll().unwrap().poll.closes;
        self.now = closes;
        self.close(which, "dan").unwrap();
    }

    /// Steps between the decision and publishing.
    pub(crate) fn ready_to_publish(&mut self, which: Which) {
        self.tick(which, &["P4"], &["T2", "N2", "N3", "R2", "R3"]);
        for person in ["dan", "alice"] {
            self.say(person, Command::Acknowledge(which)).unwrap();
        }
    }
}
