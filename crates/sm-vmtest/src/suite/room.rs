//! What machines may take of this host: memory and processors are reserved before a test starts, all that it needs at once, so
//! that tests neither starve each other nor wait for one another in a circle.

use std::sync::{Condvar, Mutex, PoisonError};

use super::finding::Stop;

/// What a test's machines take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Memory of each machine, in MiB.
    pub memory_mib: u32,
    /// Processors of each machine.
    pub cpus: u8,
    /// Machines that run at the same time.
    pub machines: u8,
}

impl Needs {
    /// One small machine.
    pub const ONE: Needs = Needs { memory_mib: 1024, cpus: 1, machines: 1 };
    /// Two of them.
    pub const TWO: Needs = Needs { machines: 2, ..Needs::ONE };

    /// Memory that QEMU itself takes beside a guest's, in MiB: translated code, mostly.
    const OVERHEAD_MIB: u32 = 256;

    fn memory_mib_of_all(&self) -> u32 {
        u32::from(self.machines).saturating_mul(self.memory_mib.saturating_add(Needs::OVERHEAD_MIB))
    }

    fn cpus_of_all(&self) -> u32 {
        u32::from(self.machines) * u32::from(self.cpus)
    }
}

/// What is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Free {
    memory_mib: u32,
    cpus: u32,
}

/// What machines may take of this host.
#[derive(Debug)]
pub struct Room {
    all: Free,
    free: Mutex<Free>,
    freed: Condvar,
}

/// A reservation. Dropping it gives it back.
#[derive(Debug)]
pub struct Reserved<'a> {
    room: &'a Room,
    taken: Free,
}

impl Room {
    /// Room for this much.
    pub fn new(memory_mib: u32, cpus: u32) -> Self {
        let all = Free { memory_mib, cpus: cpus.max(1) };
        Room { all, free: Mutex::new(all), freed: Condvar::new() }
    }

    /// How many tests can have a processor at the same time.
    pub const fn cpus(&self) -> u32 {
        self.all.cpus
    }

    /// Waits until there is room. More processors than this host has only take all of them.
    ///
    /// # Errors
    /// When there can never be room.
    pub fn reserve(&self, needs: Needs) -> Result<Reserved<'_>, Stop> {
        let taken =
            Free { memory_mib: needs.memory_mib_of_all(), cpus: needs.cpus_of_all().min(self.all.cpus) };
        if taken.memory_mib > self.all.memory_mib {
            return Err(Stop::Trouble {
                class: "host-memory",
                message: format!(
                    "the test's machines take {} MiB of memory and {} MiB are available: end other programs, or run it on a \
                     larger machine",
                    taken.memory_mib, self.all.memory_mib
                ),
            });
        }
        let fits = |free: &mut Free| free.memory_mib >= taken.memory_mib && free.cpus >= taken.cpus;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| !fits(free)).unwrap_or_else(PoisonError::into_inner);
        free.memory_mib -= taken.memory_mib;
        free.cpus -= taken.cpus;
        Ok(Reserved { room: self, taken })
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut free = self.room.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.memory_mib += self.taken.memory_mib;
        free.cpus += self.taken.cpus;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_can_never_fit_is_trouble_of_the_host_that_says_what_to_do() {
        let refused = Room::new(1024, 2).reserve(Needs::ONE).unwrap_err();
        let Stop::Trouble { class, message } = refused else { panic!("{refused:?}") };
        assert_eq!(class, "host-memory");
        assert!(message.contains("1280 MiB") && message.contains("1024 MiB are available"), "{message}");
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_everything_is_given_back() {
        let room = Room::new(3 * 1280, 2);
        let (running, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _reserved = room.reserve(Needs::ONE).unwrap();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= 2);
        assert_eq!(*room.free.lock().unwrap(), room.all);
    }

    #[test]
    fn a_test_with_more_processors_than_the_host_takes_all_of_them() {
        let room = Room::new(8192, 1);
        let reserved = room.reserve(Needs { cpus: 4, ..Needs::TWO }).unwrap();
        assert_eq!(reserved.taken.cpus, 1);
    }
}
