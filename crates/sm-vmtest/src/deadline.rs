//! Time limits on this machine's clock that grow with the accelerator's slowness.

use std::time::{Duration, Instant};

use sm_host::qemu::Accelerator;

/// How much slower than on its own processor a guest runs, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(u32);

impl Pace {
    /// The pace of guests under `accelerator`. Emulation is some ten times slower, and twice that on a busy machine.
    pub const fn of(accelerator: Accelerator) -> Self {
        match accelerator {
            Accelerator::Kvm => Pace(1),
            Accelerator::Emulation => Pace(20),
        }
    }

    /// How many times as long as on its own processor a guest is given.
    pub const fn factor(self) -> u32 {
        self.0
    }

    /// The deadline for what takes `at_full_speed` on a guest's own processor.
    pub fn within(self, at_full_speed: Duration) -> Deadline {
        Deadline::within(at_full_speed.saturating_mul(self.0))
    }
}

/// A moment that something must have happened by.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// `allowed` from now.
    pub fn within(allowed: Duration) -> Self {
        // Against a sum that no clock can hold.
        const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
        let allowed = allowed.min(LONGEST);
        Deadline { at: Instant::now() + allowed, allowed }
    }

    /// What is left of it; nothing once it has passed.
    pub fn left(&self) -> Option<Duration> {
        self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// The whole time it allowed.
    pub const fn allowed(&self) -> Duration {
        self.allowed
    }

    /// This deadline, or `limit` from now if that is earlier.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> Deadline {
        let limited = Deadline::within(limit);
        if limited.at < self.at { limited } else { *self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_gets_more_time() {
        let base = Duration::from_secs(3);
        let [kvm, tcg] =
            [Accelerator::Kvm, Accelerator::Emulation].map(|a| Pace::of(a).within(base).allowed());
        assert_eq!(kvm, base);
        assert!(tcg >= 10 * base);
    }

    #[test]
    fn a_passed_deadline_has_nothing_left() {
        assert_eq!(Deadline::within(Duration::ZERO).left(), None);
        let long = Deadline::within(Duration::from_secs(1000));
        assert!(long.at_most(Duration::from_secs(1)).left().unwrap() <= Duration::from_secs(1));
        assert!(Deadline::within(Duration::ZERO).at_most(Duration::from_secs(1)).left().is_none());
    }
}
