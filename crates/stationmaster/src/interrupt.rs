//! Ctrl-C, for verbs that have something to put in order before they end: the first one asks them to, the second one ends the
//! process at once.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// Set from the first Ctrl-C, SIGTERM, or end of the terminal on.
///
/// # Errors
/// When the system takes no handlers.
pub(crate) fn asked_to_end() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_default(signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::asked_to_end;

    #[test]
    fn a_signal_asks_and_does_not_end() {
        let asked = asked_to_end().unwrap();
        assert!(!asked.load(Ordering::Relaxed));
        signal_hook::low_level::raise(signal_hook::consts::SIGHUP).unwrap();
        assert!(asked.load(Ordering::Relaxed));
    }
}
