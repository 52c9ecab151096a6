//! What an attempt leaves behind while it runs: the phase it is in, notes, and its machines with their logs. It outlives the
//! test's own code, whatever becomes of that.

use std::{
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::finding::Stop;
use crate::{ConsoleLog, Deadline};

/// Most that the machines of an attempt may say.
const MAX_SAID_BYTES: u64 = 256 << 20;

/// The logs of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineLogs {
    /// The machine's name within its test.
    pub name: String,
    /// Whether it was booted, which no machine does in silence; a copy of one that ran has nothing to say at first.
    pub is_booted: bool,
    /// What it said on its console.
    pub console: LogPart,
    /// Its journal.
    pub journal: LogPart,
}

/// A log from some point on: what came before belongs to another attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// The whole log.
    pub log: ConsoleLog,
    /// Bytes that came before.
    pub from: u64,
}

impl LogPart {
    /// What comes from now on.
    pub fn from_now(log: ConsoleLog) -> Self {
        LogPart { from: log.len_bytes(), log }
    }

    /// Everything.
    pub const fn whole(log: ConsoleLog) -> Self {
        LogPart { log, from: 0 }
    }
}

/// Why an attempt was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its time is over.
    Late,
    /// Somebody ended the run.
    Cancelled,
    /// Its machines say so much that it would fill this host's disk.
    Loud,
}

/// The trail of one attempt.
#[derive(Debug)]
pub struct Trail {
    began: Instant,
    deadline: Deadline,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    phase: String,
    notes: Vec<String>,
    machines: Vec<MachineLogs>,
    cords: Vec<UnixStream>,
    cut: Option<Cut>,
}

impl Trail {
    /// The trail of an attempt that has to end by `deadline`.
    pub fn new(deadline: Deadline) -> Self {
        let steps = Steps { phase: "start".to_owned(), ..Steps::default() };
        Trail { began: Instant::now(), deadline, steps: Mutex::new(steps) }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        // A test that panicked in here left whole values: each change is one assignment or push.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the attempt has to end.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The attempt is in this phase now.
    pub fn enter(&self, phase: &str) {
        self.note(&format!("phase {phase}"));
        phase.clone_into(&mut self.steps().phase);
    }

    /// The phase that the attempt is in.
    pub fn phase(&self) -> String {
        self.steps().phase.clone()
    }

    /// Writes a line into the attempt's log.
    pub fn note(&self, text: &str) {
        let line = format!("[{:8.3}] {text}", self.began.elapsed().as_secs_f64());
        self.steps().notes.push(line);
    }

    /// The attempt's log.
    pub fn notes(&self) -> String {
        self.steps().notes.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The attempt has a machine whose shell hangs on `cord`. A machine that starts again keeps its logs.
    ///
    /// # Errors
    /// When the attempt was ended meanwhile.
    pub fn add_machine(&self, logs: MachineLogs, cord: UnixStream) -> Result<(), Stop> {
        let mut steps = self.steps();
        if let Some(cut) = steps.cut {
            return Err(cut.into());
        }
        if steps.machines.iter().all(|machine| machine.name != logs.name) {
            steps.machines.push(logs);
        }
        steps.cords.push(cord);
        Ok(())
    }

    /// Its machines, in the order of their start.
    pub fn machines(&self) -> Vec<MachineLogs> {
        self.steps().machines.clone()
    }

    /// Whether its machines have said more than any needs to say.
    pub fn is_loud(&self) -> bool {
        let said = |part: &LogPart| part.log.len_bytes().saturating_sub(part.from);
        let machines = self.machines();
        let n_bytes: u64 = machines.iter().map(|one| said(&one.console) + said(&one.journal)).sum();
        n_bytes > MAX_SAID_BYTES
    }

    /// Ends the attempt from outside: whatever it asks a guest from now on fails at once.
    pub fn cut(&self, cut: Cut) {
        let mut steps = self.steps();
        steps.cut.get_or_insert(cut);
        for cord in &steps.cords {
            // It fails only where the connection is gone already.
            let _ = cord.shutdown(Shutdown::Both);
        }
    }

    /// Why the attempt was ended from outside, if it was.
    pub fn was_cut(&self) -> Option<Cut> {
        self.steps().cut
    }
}

impl From<Cut> for Stop {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Late => Stop::Late("the test did not end in its time".to_owned()),
            Cut::Cancelled => Stop::Cancelled,
            Cut::Loud => {
                let mib = MAX_SAID_BYTES >> 20;
                Stop::Broken(format!("its machines said more than {mib} MiB on consoles and in journals"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use super::*;

    fn trail() -> Trail {
        Trail::new(Deadline::within(Duration::from_secs(60)))
    }

    fn logs(name: &str) -> MachineLogs {
        let log = |file: &str| LogPart::whole(ConsoleLog::new(format!("{name}/{file}")));
        MachineLogs {
            name: name.to_owned(),
            is_booted: true,
            console: log("console.log"),
            journal: log("journal.log"),
        }
    }

    #[test]
    fn the_last_phase_entered_is_the_phase() {
        let trail = trail();
        assert_eq!(trail.phase(), "start");
        trail.enter("boot");
        trail.enter("download");
        assert_eq!(trail.phase(), "download");
        assert!(trail.notes().contains("phase boot\n"), "{}", trail.notes());
    }

    #[test]
    fn cutting_an_attempt_breaks_every_conversation_and_lets_none_begin() {
        let trail = trail();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        trail.add_machine(logs("a"), ours).unwrap();
        trail.cut(Cut::Late);
        trail.cut(Cut::Cancelled);
        assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(trail.was_cut(), Some(Cut::Late));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(matches!(trail.add_machine(logs("b"), ours), Err(Stop::Late(_))));
    }

    #[test]
    fn a_machine_that_starts_again_keeps_its_logs() {
        let trail = trail();
        for _ in 0..2 {
            trail.add_machine(logs("a"), UnixStream::pair().unwrap().0).unwrap();
        }
        assert_eq!(trail.machines(), [logs("a")]);
    }
}
