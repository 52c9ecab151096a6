//! Counters for Prometheus. Labels come from closed sets only, so that no client can make the server remember more.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use sm_model::report::{EventKind, EventResult};

use crate::refusal::Refusal;

/// How an update check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// A release was offered.
    Offer,
    /// Nothing to do, for a reason of its own.
    NoUpdate(&'static str),
}

impl Answer {
    const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Answer::Offer => ("offer", ""),
            Answer::NoUpdate(reason) => ("noupdate", reason),
        }
    }
}

/// Everything counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    answers: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    events: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    pings: AtomicU64,
    served_bytes: AtomicU64,
    connections: AtomicU64,
    batches: AtomicU64,
    batched_requests: AtomicU64,
}

impl Metrics {
    pub(crate) fn count_answer(&self, answer: Answer) {
        bump(&self.answers, answer.labels());
    }

    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        bump(&self.refusals, refusal.reason());
    }

    pub(crate) fn count_event(&self, kind: EventKind, result: EventResult) {
        bump(&self.events, (kind_name(kind), result_name(result)));
    }

    pub(crate) fn count_ping(&self) {
        self.pings.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_served(&self, n_bytes: u64) {
        self.served_bytes.fetch_add(n_bytes, Relaxed);
    }

    pub(crate) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_batch(&self, n_requests: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.batched_requests.fetch_add(n_requests as u64, Relaxed);
    }

    /// In Prometheus' text format, version 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut page = Page::default();
        let answers = snapshot(&self.answers);
        page.family("update_checks_total", "counter", "Update checks by answer, and why there was no update");
        for ((answer, reason), count) in answers {
            page.sample("update_checks_total", &[("answer", answer), ("reason", reason)], count);
        }
        page.family("refused_requests_total", "counter", "Requests answered with 4xx or 5xx by reason");
        for (reason, count) in snapshot(&self.refusals) {
            page.sample("refused_requests_total", &[("reason", reason)], count);
        }
        page.family("events_total", "counter", "Events that hosts reported by type and result");
        for ((kind, result), count) in snapshot(&self.events) {
            page.sample("events_total", &[("type", kind), ("result", result)], count);
        }
        for (name, help, value) in [
            ("pings_total", "Pings of hosts", &self.pings),
            ("served_bytes_total", "Bytes of release files sent", &self.served_bytes),
            ("connections_total", "Connections accepted", &self.connections),
            ("transactions_total", "Database transactions for update requests", &self.batches),
            ("recorded_requests_total", "Update requests in those transactions", &self.batched_requests),
        ] {
            page.family(name, "counter", help);
            page.sample(name, &[], value.load(Relaxed));
        }
        page.text
    }
}

/// Text in Prometheus' format under construction.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ =
            writeln!(self.text, "# HELP stationmaster_{name} {help}.\n# TYPE stationmaster_{name} {kind}");
    }

    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "stationmaster_{name}{labels} {value}");
    }
}

/// A label's value: backslash, quote and line feed are escaped by the format's rules.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn bump<K: Ord>(counts: &Mutex<BTreeMap<K, u64>>, key: K) {
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
}

fn snapshot<K: Ord + Copy>(counts: &Mutex<BTreeMap<K, u64>>) -> Vec<(K, u64)> {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.iter().map(|(key, count)| (*key, *count)).collect()
}

/// Numbers that no client of ours sends are one label, whoever sends them.
const fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::UpdateComplete => "update-complete",
        EventKind::DownloadStarted => "download-started",
        EventKind::DownloadFinished => "download-finished",
        EventKind::Other(_) => "other",
    }
}

const fn result_name(result: EventResult) -> &'static str {
    match result {
        EventResult::Error => "error",
        EventResult::Success => "success",
        EventResult::SuccessReboot => "success-reboot",
        EventResult::Other(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_described() {
        let mut page = Page::default();
        page.family("instances", "gauge", "Instances");
        page.sample("instances", &[("group", "a\"b\\c\nd")], 3);
        assert_eq!(
            page.text,
            "# HELP stationmaster_instances Instances.\n# TYPE stationmaster_instances gauge\n\
             stationmaster_instances{group=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
    }

    #[test]
    fn events_of_any_number_share_a_closed_set_of_labels() {
        let metrics = Metrics::default();
        for number in 0..1000 {
            metrics.count_event(EventKind::from_number(number), EventResult::from_number(number));
        }
        let n_labels =
            metrics.render().lines().filter(|line| line.starts_with("stationmaster_events_total{")).count();
        assert_eq!(n_labels, 7);
    }
}
