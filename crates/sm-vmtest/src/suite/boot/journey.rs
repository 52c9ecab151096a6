//! Machines that go from one test to the next. Each test asks for the day of the machine's life that it looks at; what is not
//! there yet is made, by whoever asks first. So a test alone makes all that it needs, and tests together boot little.

use super::{life::Life, update::Updated};
use crate::suite::{bench::Bench, finding::Stop, machine::Machine};

/// Which machine tests travel with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Journey {
    /// A machine of the release under test, from its first boot to its reset.
    Life,
    /// A machine of the previous release that updates to the one under test, and goes back.
    Update,
}

/// What has become of both so far.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "machines are effects, not values to print")]
pub struct Travellers<'a> {
    pub(super) life: Life<'a>,
    pub(super) update: Updated<'a>,
}

/// A machine on its way, or why it got no further.
#[derive(Default)]
pub(super) struct Traveller<'a> {
    machine: Option<Machine<'a>>,
    stranded: Option<String>,
}

impl<'a> Traveller<'a> {
    /// The machine, in the hands of this test; started by `start` when there is none yet.
    pub(super) fn machine(
        &mut self,
        bench: &Bench<'a>,
        start: impl FnOnce() -> Result<Machine<'a>, Stop>,
    ) -> Result<&mut Machine<'a>, Stop> {
        if let Some(why) = &self.stranded {
            return Err(stranded(why));
        }
        let machine = match self.machine.take() {
            Some(machine) => machine.handed_to(bench)?,
            None => start()?,
        };
        Ok(self.machine.insert(machine))
    }

    /// The machine, which an earlier step has started.
    pub(super) fn same(&mut self, bench: &Bench<'a>) -> Result<&mut Machine<'a>, Stop> {
        self.machine(bench, || Err(stranded("it was never started")))
    }

    /// One step of the way. A step that fails is the last one: nobody knows what the machine is good for afterwards.
    pub(super) fn step<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if let Some(why) = &self.stranded {
            return Err(stranded(why));
        }
        let result = work(self);
        if let Err(stop) = &result {
            self.stranded = Some(stop.to_string());
            self.machine = None;
        }
        result
    }
}

fn stranded(why: &str) -> Stop {
    Stop::Trouble {
        class: "prerequisite",
        message: format!("the machine got no further before this test: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_step_that_failed_there_are_no_more() {
        let mut traveller = Traveller::default();
        assert_eq!(traveller.step(|_| Ok(1)), Ok(1));
        let broken = traveller.step::<()>(|_| Err(Stop::Broken("no shell".into())));
        assert_eq!(broken, Err(Stop::Broken("no shell".into())));
        let next = traveller.step(|_| Ok(2)).unwrap_err();
        let Stop::Trouble { class: "prerequisite", message } = next else { panic!("{next:?}") };
        assert_eq!(message, "the machine got no further before this test: no shell");
    }
}
