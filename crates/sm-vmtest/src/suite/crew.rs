//! Runs the tests that need machines, as many at a time as there is room for. What becomes of one test touches no other: each
//! has its own machines, or a copy of one, or a shared one that is looked over after every test.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use sm_host::clock::Clock;
use sm_model::test_report::{Isolation, Scenario};

use super::{
    bench::{Bench, Stage},
    catalog::{Class, Means, Test},
    external::play,
    finding::{Looked, Stop},
    machine::{BOOT, Machine},
    room::Needs,
    run::{Evidence, Tried, attempt},
    trail::{Cut, Trail},
};
use crate::{
    ConsoleLog, Deadline, VmPlan,
    vm::{Saved, Start},
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
    let crew = Crew { stage, order, tried: Mutex::default() };
    let jobs = Mutex::new(jobs(tests, order.isolation));
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
    crew.tried.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What one worker does in one go.
#[derive(Debug)]
enum Job {
    /// Tests that look at one machine, one after the other.
    Shared(Vec<&'static Test>),
    /// A test with machines of its own.
    Own(&'static Test),
}

/// The work in the order of taking: the machine that others are copied from boots first, and meanwhile what boots its own.
fn jobs(tests: &[&'static Test], isolation: Isolation) -> VecDeque<Job> {
    let of = |class| tests.iter().copied().filter(move |test| test.class == class && test.needs_machines());
    let shared: Vec<_> = of(Class::Shared).collect();
    let mut boots: Vec<_> = of(Class::Boot).collect();
    boots.sort_by_key(|test| std::cmp::Reverse(test.limit));
    let clones = of(Class::Clone);
    let together = match isolation {
        _ if shared.is_empty() => Vec::new(),
        Isolation::Suite => vec![Job::Shared(shared)],
        Isolation::Isolated => shared.into_iter().map(|test| Job::Shared(vec![test])).collect(),
    };
    together.into_iter().chain(boots.into_iter().chain(clones).map(Job::Own)).collect()
}

/// What all copies go on from, or why there is none.
pub(super) type Base = Result<(Saved, VmPlan), (Stop, Vec<Evidence>)>;

struct Crew<'a> {
    stage: &'a Stage<'a>,
    order: &'a Order<'a>,
    tried: Mutex<Vec<Tried>>,
}

impl<'a> Crew<'a> {
    fn carry_out(&self, job: Job) {
        match job {
            Job::Own(test) => self.own(test),
            Job::Shared(tests) => self.shared(&tests),
        }
    }

    /// One test with machines of its own.
    fn own(&self, test: &'static Test) {
        self.attempt(test, |bench| match test.means {
            Means::Boot(start) => start(bench),
            Means::External(external) if test.class == Class::Boot => {
                let mut plan = bench.plan("a", bench.release())?;
                plan.further_disks_mib.clone_from(&external.wishes.further_disks_mib);
                let mut machine = bench.start("a", plan)?;
                machine.healthy_boot()?;
                ask(test.means, bench, &mut machine)
            }
            means => ask(means, bench, &mut self.copy(bench)?),
        });
    }

    /// Tests that look at one machine, which goes from one to the next.
    fn shared(&self, tests: &[&'static Test]) {
        let mut machine: Option<Machine<'a>> = None;
        for test in tests {
            self.attempt(test, |bench| {
                let taken = match machine.take() {
                    Some(machine) => machine.handed_to(bench)?,
                    None => self.copy(bench)?,
                };
                let given = machine.insert(taken);
                let looked = ask(test.means, bench, given);
                if matches!(looked, Err(Stop::Late(_) | Stop::Broken(_))) {
                    // Nobody knows what such a machine is good for.
                    machine = None;
                }
                looked
            });
        }
    }

    /// One attempt, with room for its machines, a directory, a deadline and somebody who watches it.
    fn attempt(&self, test: &'static Test, work: impl FnOnce(&Bench<'a>) -> Looked) {
        let limit = test.limit.on(&self.stage.host);
        let tried = match self.stage.room.reserve(test.needs) {
            Ok(_reserved) => self.watched(test, Deadline::within(limit), work),
            Err(stop) => attempt(test, self.order.clock, scenario(), || "start".to_owned(), || Err(stop)),
        };
        (self.order.ended)(&tried);
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).push(tried);
    }

    fn watched(&self, test: &Test, deadline: Deadline, work: impl FnOnce(&Bench<'a>) -> Looked) -> Tried {
        let trail = Arc::new(Trail::new(deadline));
        let dir = self.stage.dir.join(test.name);
        let bench = Bench::new(self.stage, test.needs, dir, Arc::clone(&trail));
        let has_ended = AtomicBool::new(false);
        let mut tried = thread::scope(|scope| {
            scope.spawn(|| watch(&trail, &has_ended, self.order.cancelled));
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
                    work(&bench).map_err(|stop| trail.was_cut().map_or(stop, Stop::from))
                },
            )
        });
        tried.attempt.isolation = self.order.isolation;
        tried.log.push_str(&trail.notes());
        tried.evidence = evidence(&trail);
        if let Some(Err((_, logs))) = self.stage.base.0.get() {
            tried.evidence.extend(logs.iter().cloned());
        }
        tried
    }

    /// A copy of a machine that runs. The first one who asks boots that machine.
    fn copy(&self, bench: &Bench<'a>) -> Result<Machine<'a>, Stop> {
        bench.phase("boot");
        let base = self.stage.base.0.get_or_init(|| self.boot_base());
        let (saved, base_plan) = base.as_ref().map_err(|(stop, _)| stop.clone())?;
        bench.phase("copy");
        let plan = VmPlan {
            start: Start::Copied(saved.clone()),
            dir: bench.dir().join("copy"),
            ..base_plan.clone()
        };
        let mut machine = bench.start("copy", plan)?;
        machine.refresh()?;
        bench.phase("assert");
        Ok(machine)
    }

    /// Boots the machine that copies are made of, and saves it.
    fn boot_base(&self) -> Base {
        let limit = self.stage.host.pace().within(2 * BOOT).allowed();
        let trail = Arc::new(Trail::new(Deadline::within(limit)));
        let bench = Bench::new(self.stage, Needs::ONE, self.stage.dir.join("base"), Arc::clone(&trail));
        let saved = bench.boot("base").and_then(|machine| {
            let plan = machine.plan().clone();
            Ok((machine.save()?, plan))
        });
        saved.map_err(|stop| (stop, evidence(&trail)))
    }
}

/// Carries a test out at one machine.
fn ask(means: Means, bench: &Bench<'_>, machine: &mut Machine<'_>) -> Looked {
    match means {
        Means::Shared(ask) | Means::Clone(ask) => ask(bench, machine),
        Means::External(external) => play(external, bench, machine),
        Means::Look(_) | Means::Boot(_) | Means::NotYet(_) => {
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

/// Cuts an attempt that is late, or when the run is cancelled.
fn watch(trail: &Trail, has_ended: &AtomicBool, cancelled: &AtomicBool) {
    /// Waits end by themselves at the deadline, and say what they saw: only what does not is cut.
    const GRACE: Duration = Duration::from_secs(10);
    const LOOK: Duration = Duration::from_millis(100);
    let end = Deadline::within(trail.deadline().allowed() + GRACE);
    while !has_ended.load(Ordering::Relaxed) {
        if cancelled.load(Ordering::Relaxed) {
            trail.cut(Cut::Cancelled);
        } else if end.left().is_none() {
            trail.cut(Cut::Late);
        }
        thread::sleep(LOOK);
    }
}

/// The logs of an attempt's machines.
fn evidence(trail: &Trail) -> Vec<Evidence> {
    let logs = trail.machines().into_iter().flat_map(|machine| {
        let named = |kind: &str, log: &ConsoleLog| Evidence {
            name: format!("{}.{kind}.txt", machine.name).parse().expect("machines have names of letters"),
            text: log.text(),
        };
        [named("console", &machine.console), named("journal", &machine.journal)]
    });
    logs.collect()
}
