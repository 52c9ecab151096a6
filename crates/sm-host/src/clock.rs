//! The time, and waiting for it. Core crates take `now` as an argument; this is where it comes from.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use sm_model::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync {
    /// The current instant, in whole seconds.
    fn now(&self) -> Timestamp;

    /// Returns when `duration` has passed.
    fn sleep(&self, duration: Duration);
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let secs =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        i64::try_from(secs)
            .ok()
            .and_then(|secs| Timestamp::from_unix_secs(secs).ok())
            .expect("the system clock is before the year 9999")
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that only moves when somebody sleeps on it or sets it.
#[derive(Debug)]
pub struct FakeClock {
    now: Mutex<Timestamp>,
}

impl FakeClock {
    /// A clock that stands at `now`.
    pub const fn new(now: Timestamp) -> Self {
        FakeClock { now: Mutex::new(now) }
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, now: Timestamp) {
        *self.locked() = now;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.locked()
    }

    fn sleep(&self, duration: Duration) {
        let mut now = self.locked();
        let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        *now = Timestamp::from_unix_secs(now.unix_secs().saturating_add(secs)).unwrap_or(*now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fake_time_passes_only_by_sleeping() {
        let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let clock = FakeClock::new(start);
        assert_eq!(clock.now(), start);
        clock.sleep(Duration::from_secs(90));
        assert_eq!(clock.now().secs_since(start), 90);
    }
}
