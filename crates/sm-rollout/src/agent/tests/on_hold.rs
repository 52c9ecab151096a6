//! Nothing is installed over the way back: while what runs is on trial or was given up, a host neither asks nor installs.

use super::*;
use crate::agent::state::Download;

const NEWER: &str = "4900.0.2";

/// A host that runs the new version, whose kernel image has this counter; its document was lost.
fn runs_new(tries: Tries) -> Host {
    let mut host = Host::new();
    host.facts.entries.push(BootEntry { version: NEW.parse().unwrap(), tries });
    host.state = State::new(NEW.parse().unwrap());
    host.boot(NEW, tries);
    host
}

fn reasons(host: &Host) -> String {
    host.state.explain(&host.facts, Ok(&host.config), host.now).reasons.join("\n")
}

#[test]
fn a_version_whose_trial_was_forgotten_is_proven_before_anything_is_asked() {
    for tries in [Tries::Left(2), Tries::Spent] {
        let mut host = runs_new(tries);
        host.state.hurry(host.now);
        assert!(matches!(host.turn(), Action::Ping(_)), "{tries:?}");
        host.apply(Outcome::Pinged(Ok(())));
        assert!(matches!(host.turn(), Action::Wait(_)), "one sign of life is enough");
        let reasons = reasons(&host);
        assert!(reasons.contains("4900.0.1 has not been marked good: no update is installed"), "{reasons}");
        assert!(!reasons.contains("nothing newer"), "nobody asked: {reasons}");

        host.facts.entries[1].tries = Tries::Good;
        host.check(Some(offer(NEWER, 1)));
        assert_eq!(host.state.phase.name(), "downloading");
    }
}

#[test]
fn a_boot_that_was_not_counted_is_told_with_what_to_do() {
    let mut host = runs_new(Tries::Fresh(3));
    host.state.hurry(host.now);
    assert!(matches!(host.turn(), Action::Ping(_)), "nothing is asked");
    let reasons = reasons(&host);
    assert!(reasons.contains("this boot was not counted") && reasons.contains("`+3`"), "{reasons}");
}

#[test]
fn what_was_begun_before_is_not_installed_by_a_version_on_trial() {
    let offer = offer(NEWER, 1);
    for server in [true, false] {
        for begun in [false, true] {
            let mut host = runs_new(Tries::Left(2));
            if !server {
                host.config.server = None;
            }
            host.state.phase = match begun {
                true => Phase::Installing { offer: offer.clone(), from: OLD.parse().unwrap(), damaged: 0 },
                false => Phase::Downloading(Download {
                    offer: offer.clone(),
                    failures: 0,
                    damaged: 0,
                    next: host.now,
                }),
            };
            assert!(matches!(host.turn(), Action::Wait(_)), "{:?}", host.turn());
            host.facts.entries[1].tries = Tries::Good;
            let goes_on = matches!(host.turn(), Action::Install(_) | Action::Download { .. });
            assert_eq!(goes_on, server || begun, "{:?}", host.turn());
        }
    }
}

#[test]
fn after_going_back_nothing_is_installed_before_the_reboot() {
    let mut host = Host::new();
    host.arm();
    host.boot(NEW, Tries::Good);
    host.deliver();
    host.state.roll_back(NEW.parse().unwrap(), OLD.parse().unwrap(), host.now);
    host.facts.entries[1].tries = Tries::Spent;
    host.deliver();
    for _ in 0..3 {
        host.wait(3 * 3600);
        assert!(matches!(host.turn(), Action::Ping(_)));
        host.apply(Outcome::Pinged(Ok(())));
        assert!(matches!(host.turn(), Action::Wait(_)));
    }
    let reasons = reasons(&host);
    assert!(reasons.contains("4900.0.1 was given up: no update is installed"), "{reasons}");

    host.boot(OLD, Tries::Spent);
    assert_eq!(host.turn(), Action::RemoveEntry(NEW.parse().unwrap()));
    host.facts.entries.pop();
    host.check(Some(offer(NEWER, 1)));
    assert_eq!(host.state.phase.name(), "downloading");
}
