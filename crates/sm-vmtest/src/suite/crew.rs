//! Runs the tests that need machines, as many at a time as there is room for. What becomes of one test touches no other: each
//! has its own machines, or a copy of one, or a shared one that is looked over after every test.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sm_host::{clock::Clock, qemu::WriteCache};
use sm_model::test_report::{Attempt, AttemptOutcome, Isolation, Scenario, TestId};
use sm_release::signature::failure_signature;

use super::{
    bench::{Bench, Stage},
    boot::journey::{Journey, Travellers},
    catalog::{Class, Gate, Means, Test},
    dirt::Fingerprint,
    external::play,
    finding::{Findings, Looked, Stop},
    machine::{BOOT, Limit, Machine},
    room::Needs,
    run::{Evidence, Tried, attempt},
    scan::{Scanned, scan},
    trail::{Cut, LogPart, Trail},
};
use crate::{
    Deadline, VmPlan,
    vm::{Saved, Start, VmHost},
};

/// What a run is asked for, beside its tests.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds effects, not values to print")]
pub struct Order<'a> {
    /// The time of day, for the report.
    pub clock: &'a dyn Clock,
    /// Among others, or each alone in a machine of its own.
    pub isolation: Isolation,
    /// Set by whoever wants the run to end.
    pub cancelled: &'a AtomicBool,
    /// Told each attempt as it ends.
    pub ended: &'a (dyn Fn(&Tried) + Sync),
}

/// Tries each test that needs machines once; others are left out. Attempts come in the order they ended.
pub fn run(tests: &[&'static Test], stage: &Stage<'_>, order: &Order<'_>) -> Vec<Tried> {
    let crew = Crew { stage, order, tried: Mutex::default(), scanned: Mutex::default() };
    let jobs = Mutex::new(jobs(tests, order.isolation, &stage.host));
    let n_workers = stage.room.cpus().min(u32::try_from(tests.len()).unwrap_or(u32::MAX));
    thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| {
                let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(job) = next() {
                    crew.carry_out(job);
                }
            });
        }
    });
    tests.iter().filter(|test| matches!(test.means, Means::Rules)).for_each(|test| crew.rules(test));
    crew.tried.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What one worker does in one go.
#[derive(Debug)]
enum Job {
    /// Tests that look at one machine, one after the other.
    Shared(Vec<&'static Test>),
    /// Tests that travel with one machine, day after day.
    Journey(Vec<&'static Test>),
    /// A test with machines of its own.
    Own(&'static Test),
}

impl Job {
    /// Longest that it may take. What may take long is likely to.
    fn limit(&self, host: &VmHost<'_>) -> Duration {
        match self {
            Job::Shared(tests) | Job::Journey(tests) => tests.iter().map(|test| test.limit.on(host)).sum(),
            Job::Own(test) => test.limit.on(host),
        }
    }
}

/// The work in the order of taking: the machine that others are copied from boots first, and meanwhile what boots its own, the
/// longest first; copies, which are quick, fill the end.
fn jobs(tests: &[&'static Test], isolation: Isolation, host: &VmHost<'_>) -> VecDeque<Job> {
    let of = |class| {
        let mine = move |test: &&'static Test| {
            test.class == class && test.needs_machines() && !matches!(test.means, Means::Rules)
        };
        tests.iter().copied().filter(mine)
    };
    let together = |tests: Vec<&'static Test>, job: fn(Vec<&'static Test>) -> Job| match isolation {
        _ if tests.is_empty() => Vec::new(),
        Isolation::Suite => vec![job(tests)],
        Isolation::Isolated => tests.into_iter().map(|test| job(vec![test])).collect(),
    };
    let mut boots = Vec::new();
    for with in [Journey::Life, Journey::Update] {
        let travels = |test: &&'static Test| matches!(test.means, Means::Journey(one, _) if one == with);
        boots.extend(together(of(Class::Boot).filter(travels).collect(), Job::Journey));
    }
    boots.extend(of(Class::Boot).filter(|test| !matches!(test.means, Means::Journey(..))).map(Job::Own));
    boots.sort_by_key(|job| std::cmp::Reverse(job.limit(host)));
    let shared = together(of(Class::Shared).collect(), Job::Shared);
    shared.into_iter().chain(boots).chain(of(Class::Clone).map(Job::Own)).collect()
}

/// What all copies go on from, or why there is none.
pub(super) type Base = Result<(Saved, VmPlan), (Stop, Vec<Evidence>)>;

struct Crew<'a> {
    stage: &'a Stage<'a>,
    order: &'a Order<'a>,
    tried: Mutex<Vec<Tried>>,
    scanned: Mutex<Scanned>,
}

impl<'a> Crew<'a> {
    fn carry_out(&self, job: Job) {
        match job {
            Job::Own(test) => self.own(test),
            Job::Shared(tests) => self.shared(&tests),
            Job::Journey(tests) => self.journey(&tests),
        }
    }

    /// One test with machines of its own.
    fn own(&self, test: &'static Test) {
        if needs_copy(test) {
            self.base();
        }
        self.attempt(test, |bench| match test.means {
            Means::Boot(start) => start(bench),
            Means::External(external) if test.class == Class::Boot => {
                let mut plan = bench.plan("a", bench.release())?;
                plan.further_disks_mib.clone_from(&external.wishes.further_disks_mib);
                let mut machine = bench.start("a", plan)?;
                machine.healthy_boot()?;
                ask(test.means, bench, &mut machine)
            }
            Means::Owned(take) => take(bench, self.copy(bench, WriteCache::KeepsFlushed)?),
            means => ask(means, bench, &mut self.copy(bench, WriteCache::Volatile)?),
        });
        self.clear(test);
    }

    /// Removes the files of a test's machines: a disk that was filled must not stay in the way of the next test.
    fn clear(&self, test: &Test) {
        // What cannot be removed goes with the run's folder.
        let _ = std::fs::remove_dir_all(self.stage.dir.join(test.name));
    }

    /// Tests that look at one machine, which goes from one to the next as long as it is left as it was found.
    fn shared(&self, tests: &[&'static Test]) {
        let mut shared: Option<(Machine<'a>, Fingerprint)> = None;
        let mut before: Vec<&Test> = Vec::new();
        self.base();
        for test in tests {
            if shared.is_none() {
                before.drain(..).for_each(|test| self.clear(test));
            }
            before.push(test);
            let dirt = RefCell::new(Vec::new());
            self.attempt_with(
                test,
                |bench| {
                    let (mut machine, clean) = match shared.take() {
                        Some((machine, clean)) => (machine.handed_to(bench)?, clean),
                        None => {
                            let mut machine = self.copy(bench, WriteCache::Volatile)?;
                            let clean = Fingerprint::of(&mut machine)?;
                            (machine, clean)
                        }
                    };
                    bench.phase("assert");
                    let looked = ask(test.means, bench, &mut machine);
                    // Nobody knows what a machine is good for that gave no answer: the next test gets another one.
                    if matches!(looked, Ok(_) | Err(Stop::Skip(_))) {
                        let changes = clean.changes(&Fingerprint::of(&mut machine)?);
                        if changes.is_empty() {
                            shared = Some((machine, clean));
                        }
                        dirt.replace(changes);
                    }
                    looked
                },
                |attempt| dirt_of(attempt, &dirt.take()).into_iter().collect(),
            );
        }
    }

    /// Tests that travel with one machine. What one of them finds made, it does not make again.
    fn journey(&self, tests: &[&'static Test]) {
        let mut travellers = Travellers::default();
        for test in tests {
            let Means::Journey(_, day) = test.means else { continue };
            self.attempt(test, |bench| day(bench, &mut travellers));
        }
    }

    fn attempt(&self, test: &'static Test, work: impl FnOnce(&Bench<'a>) -> Looked) -> Tried {
        self.attempt_with(test, work, |_| Vec::new())
    }

    /// One attempt, with room for its machines, a directory, a deadline and somebody who watches it. What `further` results it
    /// has, and what its machines said, comes with it.
    fn attempt_with(
        &self,
        test: &'static Test,
        work: impl FnOnce(&Bench<'a>) -> Looked,
        further: impl FnOnce(&Attempt) -> Vec<Tried>,
    ) -> Tried {
        let limit = test.limit.on(&self.stage.host);
        let (tried, trail) = match self.stage.room.reserve(test.needs) {
            Ok(_reserved) => {
                let trail = Arc::new(Trail::new(Deadline::within(limit)));
                (self.watched(test, &trail, work), trail)
            }
            Err(stop) => {
                let trail = Arc::new(Trail::new(Deadline::within(limit)));
                (attempt(test, self.order.clock, scenario(), || trail.phase(), || Err(stop)), trail)
            }
        };
        let mut results = further(&tried.attempt);
        results.extend(self.scan(&tried.attempt, &trail));
        results.insert(0, tried.clone());
        self.tell(results);
        tried
    }

    fn tell(&self, results: Vec<Tried>) {
        results.iter().for_each(self.order.ended);
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).extend(results);
    }

    fn scan(&self, attempt: &Attempt, trail: &Trail) -> Vec<Tried> {
        let version = self.stage.release.manifest().version;
        let (results, scanned) = scan(&self.stage.lists.rules, &version, attempt, &trail.machines());
        self.scanned.lock().unwrap_or_else(PoisonError::into_inner).add(scanned);
        results
    }

    fn watched(&self, test: &Test, trail: &Arc<Trail>, work: impl FnOnce(&Bench<'a>) -> Looked) -> Tried {
        let dir = self.stage.dir.join(test.name);
        let bench = Bench::new(self.stage, test.needs, dir, Arc::clone(trail));
        let has_ended = AtomicBool::new(false);
        let mut tried = thread::scope(|scope| {
            scope.spawn(|| watch(trail, &has_ended, self.order.cancelled));
            let _ended = OnDrop(&has_ended);
            attempt(
                test,
                self.order.clock,
                scenario(),
                || trail.phase(),
                || {
                    if self.order.cancelled.load(Ordering::Relaxed) {
                        return Err(Stop::Cancelled);
                    }
                    if let Some(reason) = test.obstacle() {
                        return Err(Stop::Skip(reason.to_owned()));
                    }
                    work(&bench).map_err(|stop| match trail.was_cut() {
                        None if self.order.cancelled.load(Ordering::Relaxed) => Stop::Cancelled,
                        cut => cut.map_or(stop, Stop::from),
                    })
                },
            )
        });
        tried.attempt.isolation = self.order.isolation;
        tried.log.push_str(&trail.notes());
        tried.evidence = evidence(trail);
        if let Some(Err((_, logs))) = self.stage.base.saved.get() {
            tried.evidence.extend(logs.iter().cloned());
        }
        tried
    }

    /// Whether everything that machines said was looked through.
    fn rules(&self, test: &'static Test) {
        let scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let n_rules = self.stage.lists.rules.len();
        let look = || {
            if scanned.n_machines == 0 {
                return Err(Stop::Skip("no machine was started".to_owned()));
            }
            let Scanned { n_machines, n_lines, silent, warnings } = scanned;
            let silent = silent.into_iter().map(|machine| format!("{machine} said nothing at all"));
            let seen = format!("{n_lines} lines of {n_machines} machines with {n_rules} rules");
            Ok(Findings { notes: warnings, ..Findings::with(seen, silent) })
        };
        let mut tried = attempt(test, self.order.clock, scenario(), || "assert".to_owned(), look);
        tried.attempt.isolation = self.order.isolation;
        self.tell(vec![tried]);
    }

    /// What all copies go on from. The first one who asks boots that machine.
    fn base(&self) -> &'a Base {
        self.stage.base.saved.get_or_init(|| self.boot_base())
    }

    /// A copy of a machine that runs.
    fn copy(&self, bench: &Bench<'a>, cache: WriteCache) -> Result<Machine<'a>, Stop> {
        let (saved, base_plan) = self.base().as_ref().map_err(|(stop, _)| stop.clone())?;
        bench.phase("copy");
        let plan = VmPlan {
            start: Start::Copied(saved.clone()),
            dir: bench.dir().join("copy"),
            can_be_saved: false,
            cache,
            ..base_plan.clone()
        };
        let began = Instant::now();
        let mut machine = bench.start("copy", plan)?;
        // What two copies do by the same chance would be one observation, counted twice.
        if !self.stage.base.is_new(machine.refresh()?) {
            bench.note("copy: it drew the same random numbers as another copy, and waits for its own");
            machine.wait_for_randomness()?;
        }
        bench.note(&format!("copy: answered after {} ms", began.elapsed().as_millis()));
        bench.phase("assert");
        Ok(machine)
    }

    /// Boots the machine that copies are made of, and saves it: an attempt of its own, so that no test's time holds this.
    fn boot_base(&self) -> Base {
        let base = RefCell::new(None);
        let told = self.attempt(&BASE, |bench| {
            let (saved, findings) = save_booted(bench)?;
            base.replace(Some(saved));
            Ok(findings)
        });
        base.into_inner().ok_or_else(|| {
            let message = format!("the machine that others are copied from: {}", told.attempt.message);
            let stop = match told.attempt.outcome {
                AttemptOutcome::Cancelled => Stop::Cancelled,
                AttemptOutcome::Timeout => Stop::Late(message),
                AttemptOutcome::Fail => Stop::Broken(message),
                _ => Stop::Trouble { class: "base", message },
            };
            (stop, told.evidence)
        })
    }
}

/// The boot of the machine that others are copied from.
static BASE: Test = Test {
    name: "boot.base",
    class: Class::Boot,
    gate: Gate::Blocking,
    asserts: "the machine that others are copied from boots and can be saved",
    means: Means::Boot(|bench| save_booted(bench).map(|(_, findings)| findings)),
    limit: Limit::AtFullSpeed(BOOT.saturating_mul(2)),
    needs: Needs::ONE,
};

fn save_booted(bench: &Bench<'_>) -> Result<((Saved, VmPlan), Findings), Stop> {
    bench.phase("boot");
    let mut plan = bench.plan("base", bench.release())?;
    plan.can_be_saved = true;
    let mut machine = bench.start("base", plan.clone())?;
    let report = machine.healthy_boot()?;
    bench.phase("save");
    let saved = machine.save()?;
    Ok(((saved, plan), Findings::of(format!("a boot of {} ms", report.settled_millis))))
}

/// Whether a test works with a copy of a machine that runs.
fn needs_copy(test: &Test) -> bool {
    matches!(test.means, Means::Shared(_) | Means::Clone(_) | Means::Owned(_))
        || matches!(test.means, Means::External(_) if test.class != Class::Boot)
}

/// What a test left behind in a machine that others look at: a result of its own, because it says nothing about what the test
/// looked at.
fn dirt_of(of: &Attempt, dirt: &[String]) -> Option<Tried> {
    let first = dirt.first()?;
    let test: TestId = format!("dirt.{}", of.test).parse().ok()?;
    let message = match dirt.len() {
        1 => first.clone(),
        n => format!("{first} (and {} more)", n - 1),
    };
    let attempt = Attempt {
        signature: Some(failure_signature(&test, "look-over", &message, &[])),
        outcome: AttemptOutcome::Fail,
        phase: "look-over".to_owned(),
        message,
        test,
        logs: Vec::new(),
        ..of.clone()
    };
    let log = dirt.iter().map(|line| format!("{line}\n")).collect();
    Some(Tried { attempt, log, evidence: Vec::new() })
}

/// Carries a test out at one machine.
fn ask(means: Means, bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    match means {
        Means::Shared(ask) | Means::Clone(ask) => ask(bench, machine),
        Means::External(external) => play(external, bench, machine),
        Means::Look(_)
        | Means::Owned(_)
        | Means::Boot(_)
        | Means::Journey(..)
        | Means::Rules
        | Means::NotYet(_) => {
            Err(Stop::Trouble { class: "suite", message: "the test asks no machine".to_owned() })
        }
    }
}

/// Where machines are QEMU's.
fn scenario() -> Scenario {
    [("platform".to_owned(), "qemu".to_owned())].into()
}

/// Sets a flag when it goes, even in a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Cuts an attempt that is late or loud, or when the run is cancelled.
fn watch(trail: &Trail, has_ended: &AtomicBool, cancelled: &AtomicBool) {
    /// Waits end by themselves at the deadline, and say what they saw: only what does not is cut.
    const GRACE: Duration = Duration::from_secs(10);
    const LOOK: Duration = Duration::from_millis(100);
    let end = Deadline::within(trail.deadline().allowed() + GRACE);
    while !has_ended.load(Ordering::Relaxed) {
        if cancelled.load(Ordering::Relaxed) {
            trail.cut(Cut::Cancelled);
        } else if trail.is_loud() {
            trail.cut(Cut::Loud);
        } else if end.left().is_none() {
            trail.cut(Cut::Late);
        }
        thread::sleep(LOOK);
    }
}

/// The logs of an attempt's machines.
fn evidence(trail: &Trail) -> Vec<Evidence> {
    /// Most that is kept of one log. The rules look through more.
    const MAX_EVIDENCE_BYTES: u64 = 4 << 20;
    let logs = trail.machines().into_iter().flat_map(|machine| {
        let named = |kind: &str, LogPart { log, from }: &LogPart| Evidence {
            name: format!("{}.{kind}.txt", machine.name).parse().expect("machines have names of letters"),
            text: log.excerpt(*from, MAX_EVIDENCE_BYTES),
        };
        [named("console", &machine.console), named("journal", &machine.journal)]
    });
    logs.collect()
}

#[cfg(test)]
mod tests;
