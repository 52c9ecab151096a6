//! When to ask the server: update_engine's intervals, spread so that a fleet never asks in step.

use sm_model::Timestamp;

/// Middle of the delay before the first check after a start.
pub const FIRST_SECS: u32 = 7 * 60;
/// Middle of the delay between checks.
pub const PERIODIC_SECS: u32 = 45 * 60;
/// How far both delays vary, either way.
pub const FUZZ_SECS: u32 = 5 * 60;
/// Longest delay, whoever asks for it: a server that fails, or one that says so (`PollInterval`).
pub const MAX_SECS: u32 = 4 * 3600;
/// Shortest delay that a server may ask for: one that says 0 shall not make a fleet attack it.
pub const MIN_SECS: u32 = 30;
/// Delay before trying again when the network is not there.
pub const OFFLINE_SECS: u32 = 60;

/// A number in `middle ± fuzz`, in seconds, chosen by `random`.
pub fn spread(middle_secs: u32, fuzz_secs: u32, random: u64) -> u32 {
    let fuzz_secs = fuzz_secs.min(middle_secs);
    let span = u64::from(fuzz_secs) * 2 + 1;
    let offset = u32::try_from(random % span).unwrap_or(0);
    middle_secs - fuzz_secs + offset
}

/// Delay before the first check after a start.
pub fn first(random: u64) -> u32 {
    spread(FIRST_SECS, FUZZ_SECS, random)
}

/// Delay after an answer; the server may ask for another one. Its wish varies by a tenth either way.
pub fn periodic(poll_interval_secs: Option<u32>, random: u64) -> u32 {
    match poll_interval_secs {
        None => spread(PERIODIC_SECS, FUZZ_SECS, random),
        Some(wish) => {
            let wish = wish.clamp(MIN_SECS, MAX_SECS);
            spread(wish, wish / 10, random)
        }
    }
}

/// Delay after the `failures`th failure in a row, doubling from `base_secs` to `max_secs`, ± half.
pub fn backoff(base_secs: u32, max_secs: u32, failures: u32, random: u64) -> u32 {
    let doubled = base_secs.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let middle = doubled.min(max_secs);
    spread(middle, middle / 2, random)
}

/// Whether an instant has come. One that lies further ahead than any delay means that the clock was set back: it has come.
pub fn is_due(at: Timestamp, now: Timestamp) -> bool {
    let ahead_secs = at.secs_since(now);
    ahead_secs <= 0 || ahead_secs > i64::from(MAX_SECS) * 2
}

/// The instant `delay_secs` after `now`.
pub fn after(now: Timestamp, delay_secs: u32) -> Timestamp {
    Timestamp::from_unix_secs(now.unix_secs().saturating_add(i64::from(delay_secs))).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_stay_in_their_ranges(random: u64, failures: u32, wish: u32) {
            prop_assert!((2 * 60..=12 * 60).contains(&first(random)));
            prop_assert!((40 * 60..=50 * 60).contains(&periodic(None, random)));
            let wished = periodic(Some(wish), random);
            prop_assert!((MIN_SECS - MIN_SECS / 10..=MAX_SECS + MAX_SECS / 10).contains(&wished));
            let waited = backoff(PERIODIC_SECS, MAX_SECS, failures, random);
            prop_assert!((PERIODIC_SECS / 2..=MAX_SECS * 3 / 2).contains(&waited));
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        // A `random` in the middle of the span yields the middle of the delay.
        let middle = |failures| backoff(60, 240, failures, u64::from((60 << (failures - 1).min(2)) / 2_u32));
        assert_eq!([1, 2, 3, 4, 9].map(middle), [60, 120, 240, 240, 240]);
    }

    #[test]
    fn a_fleet_does_not_ask_in_step() {
        let delays: std::collections::BTreeSet<_> = (0..1000).map(|random| periodic(None, random)).collect();
        assert!(delays.len() > 500);
    }

    #[test]
    fn a_clock_set_back_by_years_does_not_stop_the_checks() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        assert!(is_due(now, now));
        assert!(!is_due(after(now, 600), now));
        assert!(is_due("2036-01-01T00:00:00Z".parse().unwrap(), now));
    }
}
