//! A name server on this machine's loopback address that knows one name: for tests of who a guest asks, and how.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::suite::finding::Stop;

/// The name that it knows.
pub(super) const NAME: &str = "answer.suite.test";
/// What that name is.
pub(super) const ADDRESS: &str = "192.0.2.77";

/// The address of an answer, in the packet.
const ADDRESS_BYTES: [u8; 4] = [192, 0, 2, 77];
/// Record type of an address of version 4 (RFC 1035, section 3.2.2).
const TYPE_A: [u8; 2] = [0, 1];
const HEADER_BYTES: usize = 12;

/// A name server, which ends when it is dropped.
pub(super) struct NameServer {
    port: u16,
    has_ended: Arc<AtomicBool>,
}

impl NameServer {
    /// Starts it.
    pub(super) fn start() -> Result<Self, Stop> {
        const LOOK: Duration = Duration::from_millis(200);
        let trouble = |error: std::io::Error| Stop::trouble("host-network", &error);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(trouble)?;
        socket.set_read_timeout(Some(LOOK)).map_err(trouble)?;
        let port = socket.local_addr().map_err(trouble)?.port();
        let has_ended: Arc<AtomicBool> = Arc::default();
        let ends = Arc::clone(&has_ended);
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let _served = serve_one(&socket);
            }
        });
        Ok(NameServer { port, has_ended })
    }

    /// A script that gives it `address` in the guest's network namespace `netns`, at the port that name servers have.
    pub(super) fn moved_to(&self, netns: &str, address: &str) -> String {
        let port = self.port;
        format!(
            "systemd-run --quiet --unit=run-name-out socat UNIX-LISTEN:/run/name-relay,fork UDP4:10.0.2.2:{port}
systemd-run --quiet --unit=run-name-in ip netns exec {netns} \\
    socat UDP4-LISTEN:53,bind={address},fork,reuseaddr UNIX-CONNECT:/run/name-relay"
        )
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }
}

fn serve_one(socket: &UdpSocket) -> Option<SocketAddr> {
    let mut packet = [0; 512];
    let (n_bytes, client) = socket.recv_from(&mut packet).ok()?;
    socket.send_to(&answer(&packet[..n_bytes])?, client).ok().map(|_| client)
}

/// The answer to a question for one name (RFC 1035, section 4); none to what is no question. Of the name that it knows it tells
/// the address, and of every other one that it does not exist.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const NO_SUCH_NAME: u8 = 3;
    let is_question = question.get(2)? & 0x80 == 0 && question.get(4..6)? == [0, 1];
    let (name, end) = name_at(question, HEADER_BYTES)?;
    let asked = question.get(end..end + 4).filter(|_| is_question)?;
    let is_known = name.eq_ignore_ascii_case(NAME);
    let has_address = is_known && asked[..2] == TYPE_A;
    let mut reply = question[..2].to_vec();
    // An answer with authority, to a question that wished for recursion or not.
    reply.extend([0x84 | question[2] & 1, if is_known { 0 } else { NO_SUCH_NAME }]);
    reply.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    reply.extend(&question[HEADER_BYTES..end + 4]);
    if has_address {
        // The name of the question once more, class Internet, a minute to live.
        reply.extend([0xc0, HEADER_BYTES as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(ADDRESS_BYTES);
    }
    Some(reply)
}

/// The name that begins at `start`, and where what follows it begins. Questions hold no pointers.
fn name_at(packet: &[u8], start: usize) -> Option<(String, usize)> {
    /// Longest label (RFC 1035, section 2.3.4).
    const MAX_LABEL_BYTES: usize = 63;
    let (mut labels, mut at) = (Vec::new(), start);
    loop {
        let n_bytes = usize::from(*packet.get(at)?);
        at += 1;
        match n_bytes {
            0 => return Some((labels.join("."), at)),
            1..=MAX_LABEL_BYTES => {
                labels.push(String::from_utf8_lossy(packet.get(at..at + n_bytes)?).into_owned());
            }
            _ => return None,
        }
        at += n_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut packet = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(label.len() as u8);
            packet.extend(label.bytes());
        }
        packet.extend([0, 0, kind, 0, 1]);
        packet
    }

    #[test]
    fn the_name_that_it_knows_has_one_address() {
        let asked = question(NAME, 1);
        let reply = answer(&asked).unwrap();
        assert_eq!((&reply[..2], reply[2], reply[3], reply[7]), (&[7, 9][..], 0x85, 0, 1));
        assert_eq!(reply[HEADER_BYTES..asked.len()], asked[HEADER_BYTES..]);
        assert!(reply.ends_with(&ADDRESS_BYTES));
        assert_eq!(ADDRESS, ADDRESS_BYTES.map(|byte| byte.to_string()).join("."));
    }

    #[test]
    fn other_names_do_not_exist_and_other_records_are_none() {
        let other = answer(&question("other.suite.test", 1)).unwrap();
        assert_eq!((other[3], other[7]), (3, 0));
        let of_version_6 = answer(&question(NAME, 28)).unwrap();
        assert_eq!((of_version_6[3], of_version_6[7]), (0, 0));
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        let asked = question(NAME, 1);
        for n_bytes in 0..asked.len() {
            assert_eq!(answer(&asked[..n_bytes]), None, "{n_bytes}");
        }
        let mut reply = asked.clone();
        reply[2] |= 0x80;
        assert_eq!(answer(&reply), None);
        let mut pointer = asked;
        pointer[HEADER_BYTES] = 0xc0;
        assert_eq!(answer(&pointer), None);
    }
}
