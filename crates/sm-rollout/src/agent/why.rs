//! The words: what a host does about updates, why, and what comes next. Every sentence that `why` prints is here.

use sm_model::Timestamp;

use super::{
    action::Action,
    config::{Config, RebootStrategy},
    facts::{Facts, Tries},
    state::{Armed, Phase, State},
};

/// Of a host whose kernel was started by another boot loader, by a virtual machine monitor or by kexec.
const UNCOUNTED: &str = "this boot was not counted, so nobody marks its version good: reboot through systemd-boot, or take the counter \
                         (`+3`) out of the name of its kernel image in /efi/EFI/Linux once it works";

/// Where a host stands, in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Where it stands, in one sentence.
    pub standing: String,
    /// What led there and what is in the way, most important first.
    pub reasons: Vec<String>,
    /// What happens next, and when.
    pub next: String,
}

impl State {
    /// Explains the document. `config` is an error text when the settings cannot be read.
    pub fn explain(&self, facts: &Facts, config: Result<&Config, &str>, now: Timestamp) -> Explanation {
        Explanation {
            standing: self.standing(facts),
            reasons: self.reasons(facts, config),
            next: match config {
                Ok(config) => next_words(&self.next(facts, config, now), now),
                Err(_) => "nothing, until the configuration is corrected".to_owned(),
            },
        }
    }

    fn standing(&self, facts: &Facts) -> String {
        let running = facts.running;
        match &self.phase {
            Phase::Idle => format!("{running} runs; no update is under way"),
            Phase::Downloading(download) => {
                format!("{running} runs; {} is being downloaded", download.offer.version)
            }
            Phase::Installing { offer, .. } => {
                format!("{running} runs; {} is downloaded and being installed", offer.version)
            }
            Phase::Armed(Armed { version, .. }) => {
                format!("{running} runs; {version} is installed and waits for a reboot")
            }
            Phase::Unconfirmed(Armed { version, previous, .. }) => {
                format!("{version} runs on trial; {previous} is kept to fall back to")
            }
        }
    }

    fn reasons(&self, facts: &Facts, config: Result<&Config, &str>) -> Vec<String> {
        let mut reasons = Vec::new();
        match config {
            Err(problem) => reasons.push(problem.to_owned()),
            Ok(config) => reasons.extend(setting_words(config, &self.phase)),
        }
        if let Phase::Unconfirmed(armed) = &self.phase {
            reasons.push(trial_words(facts.tries(armed.version)));
        }
        let on_hold = self.on_hold(facts);
        let may_check = on_hold.is_none();
        reasons.extend(on_hold);
        if let Some((version, reason)) = &self.contact.declined {
            reasons.push(format!("the server offers {version}, which is not taken: {reason}"));
        }
        if let Some(failure) = &self.contact.failure {
            let times = self.contact.failures;
            reasons.push(format!("the server could not be asked ({times} in a row): {}", failure.words()));
        }
        if let Some(failure) = &self.last_failure {
            reasons.push(format!("the last attempt failed: {failure}"));
        }
        reasons.extend(
            self.rejected.iter().map(|old| format!("{} is not tried again: {}", old.version, old.reason)),
        );
        if let (Phase::Idle, true, Some(answered), None) =
            (&self.phase, may_check, self.contact.answered, &self.contact.declined)
        {
            reasons.push(format!("the server had nothing newer when it last answered, {answered}"));
        }
        if !self.contact.outbox.is_empty() {
            reasons.push(format!("{} events are still to be told to the server", self.contact.outbox.len()));
        }
        reasons.extend(self.contact.dropped.clone());
        reasons
    }

    /// Why nothing is asked and installed although no update is under way, in words; `None` when nothing is in the way.
    pub fn on_hold(&self, facts: &Facts) -> Option<String> {
        let (running, tries) = (facts.running, facts.unproven()?);
        let given_up = tries == Tries::Spent && self.rejected.iter().any(|old| old.version == running);
        match &self.phase {
            Phase::Armed(_) | Phase::Unconfirmed(_) => None,
            _ if matches!(tries, Tries::Fresh(_)) => {
                Some(format!("{UNCOUNTED}; no update is installed over the version to fall back to"))
            }
            _ if given_up => Some(format!(
                "{running} was given up: no update is installed over the version that the next reboot starts"
            )),
            Phase::Idle | Phase::Downloading(_) | Phase::Installing { .. } => Some(format!(
                "{running} has not been marked good: no update is installed over the version to fall back to"
            )),
        }
    }
}

fn setting_words(config: &Config, phase: &Phase) -> Option<String> {
    match (&config.server, phase, config.reboot) {
        (None, ..) => Some("no server is configured (`SERVER=disabled`)".to_owned()),
        (Some(_), Phase::Armed(_), RebootStrategy::Off) => {
            Some("`REBOOT_STRATEGY=off`: the reboot is left to you".to_owned())
        }
        _ => None,
    }
}

fn trial_words(tries: Option<Tries>) -> String {
    match tries {
        Some(Tries::Left(left)) => {
            format!(
                "boot-complete.target has not been reached yet; {left} more tries are left after this boot"
            )
        }
        Some(Tries::Fresh(_)) => UNCOUNTED.to_owned(),
        Some(Tries::Spent) => {
            "boot-complete.target has not been reached yet, and this boot is the last try".to_owned()
        }
        Some(Tries::Good) | None => "it has been marked good".to_owned(),
    }
}

fn next_words(action: &Action, now: Timestamp) -> String {
    match action {
        Action::Wait(until) => format!("look again in {}, at {until}", duration_words(until.secs_since(now))),
        Action::Report(url) => format!("tell the server at {url} what happened"),
        Action::Check(url) => format!("ask the server at {url}"),
        Action::Ping(url) => format!("tell the server at {url} that this host is alive"),
        Action::Download { url, .. } => format!("download {url}"),
        Action::Install(offer) => format!("verify {} and write it to the passive slot", offer.version),
        Action::RemoveEntry(version) => {
            format!("remove the kernel image of {version}, whose tries are spent")
        }
        Action::Reboot => "reboot".to_owned(),
    }
}

/// `90 s`, `12 min`, `3 h 5 min`.
fn duration_words(secs: i64) -> String {
    match secs {
        ..=0 => "a moment".to_owned(),
        1..=119 => format!("{secs} s"),
        120..=7199 => format!("{} min", secs / 60),
        _ => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration_words;

    #[test]
    fn durations_read_as_people_say_them() {
        let words = [-5, 0, 90, 125, 11_100].map(duration_words);
        assert_eq!(words, ["a moment", "a moment", "90 s", "2 min", "3 h 5 min"]);
    }
}
