//! The control connection to a running QEMU: the few commands of the QEMU Machine Protocol that we send
//! (QEMU documentation, "QMP Protocol Specification").

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::{Value, json};

use super::QemuError;

/// Longest message accepted: stops a peer that never ends its line.
const MAX_MESSAGE_BYTES: u64 = 1 << 20;
/// Events that may come before an answer: stops a peer that only talks.
const MAX_EVENTS: usize = 1000;
/// How long QEMU may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A control connection, ready for commands.
#[derive(Debug)]
pub struct Monitor {
    reader: BufReader<UnixStream>,
}

impl Monitor {
    /// Greets the QEMU at the other end of `stream`.
    ///
    /// # Errors
    /// When what is there is not QEMU, or does not answer in time.
    pub fn greet(stream: UnixStream) -> Result<Self, QemuError> {
        let broken = |error: std::io::Error| refused("qmp_capabilities", &error.to_string());
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(broken)?;
        let mut monitor = Monitor { reader: BufReader::new(stream) };
        let greeting = monitor.message("qmp_capabilities")?;
        if greeting.get("QMP").is_none() {
            return Err(refused("qmp_capabilities", "the first message is no greeting"));
        }
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Sends a command without arguments and returns its result.
    ///
    /// # Errors
    /// When QEMU refuses it or the connection breaks.
    pub fn execute(&mut self, command: &str) -> Result<Value, QemuError> {
        self.execute_with(command, &json!({}))
    }

    /// Sends a command with its arguments, an object, and returns its result.
    ///
    /// # Errors
    /// When QEMU refuses it or the connection breaks.
    pub fn execute_with(&mut self, command: &str, arguments: &Value) -> Result<Value, QemuError> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.reader
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(|error| refused(command, &error.to_string()))?;
        for _ in 0..MAX_EVENTS {
            let mut message = self.message(command)?;
            if let Some(result) = message.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = message.get("error") {
                return Err(refused(command, error["desc"].as_str().unwrap_or("it gave no reason")));
            }
        }
        Err(refused(command, "only events came"))
    }

    fn message(&mut self, command: &str) -> Result<Value, QemuError> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(MAX_MESSAGE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| refused(command, &error.to_string()))?;
        if line.is_empty() {
            return Err(refused(command, "it closed the connection"));
        }
        serde_json::from_slice(&line).map_err(|error| refused(command, &error.to_string()))
    }
}

fn refused(command: &str, reason: &str) -> QemuError {
    QemuError::Monitor { command: command.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end of a connection that says `script` and then closes.
    fn peer(script: &str) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(script.as_bytes()).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        // The reading half stays open in a thread, so that commands can be sent.
        std::thread::spawn(move || theirs.read_to_end(&mut Vec::new()));
        ours
    }

    const GREETING: &str = "{\"QMP\": {}}\r\n{\"return\": {}}\r\n";

    #[test]
    fn events_before_an_answer_are_passed_over() {
        let script =
            format!("{GREETING}{{\"event\": \"RESET\"}}\n{{\"return\": {{\"status\": \"running\"}}}}\n");
        let mut monitor = Monitor::greet(peer(&script)).unwrap();
        assert_eq!(monitor.execute("query-status").unwrap()["status"], "running");
    }

    #[test]
    fn a_refusal_carries_its_reason() {
        let script =
            format!("{GREETING}{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"no such\"}}}}\n");
        let error = Monitor::greet(peer(&script)).unwrap().execute("x").unwrap_err();
        assert_eq!(error.to_string(), "QEMU did not carry out `x`: no such");
    }

    #[test]
    fn a_peer_that_is_not_qemu_is_refused() {
        for script in ["", "SSH-2.0-x\n", "{}\n", "[1]\n", "{\"QMP\": {}}\n"] {
            assert!(Monitor::greet(peer(script)).is_err(), "{script:?}");
        }
    }
}
