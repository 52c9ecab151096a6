//! A door to a local server that can be shut in the middle of a transfer, byte by byte: how a server, or the network before it,
//! goes away is what clients must survive.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Bytes carried at a time: the door shuts this precisely.
const PIECE_BYTES: usize = 16 << 10;
/// How long the server behind the door may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A door on a port of its own, open until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    server: SocketAddr,
    carried: AtomicU64,
    limit: AtomicU64,
    is_closed: AtomicBool,
}

impl Relay {
    /// Opens a door of this machine's loopback address to the `server`.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn open(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (carried, limit) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let gate = Arc::new(Gate { server, carried, limit, is_closed: AtomicBool::new(false) });
        let doorman = Arc::clone(&gate);
        thread::Builder::new().name("relay".to_owned()).spawn(move || doorman.serve(&listener))?;
        Ok(Relay { address, gate })
    }

    /// The door's port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Bytes that the server has sent through it so far.
    pub fn carried_bytes(&self) -> u64 {
        self.gate.carried.load(Ordering::SeqCst)
    }

    /// Shuts the door, connections in the middle included, once the server has sent so many bytes in all. A higher limit opens
    /// it again.
    pub fn shut_after(&self, bytes: u64) {
        self.gate.limit.store(bytes, Ordering::SeqCst);
    }

    /// Whether it is shut now.
    pub fn is_shut(&self) -> bool {
        self.gate.room() == 0
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.gate.is_closed.store(true, Ordering::SeqCst);
        // The doorman waits for a visitor: this one tells it to leave. Without one, it leaves with the next.
        let _ = TcpStream::connect(self.address);
    }
}

impl Gate {
    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for visitor in listener.incoming() {
            if self.is_closed.load(Ordering::SeqCst) {
                return;
            }
            let Ok(visitor) = visitor else { continue };
            let gate = Arc::clone(self);
            // A visitor that cannot be served is turned away, as one that comes to a shut door.
            let _ = thread::Builder::new().name("relay".to_owned()).spawn(move || gate.carry(&visitor));
        }
    }

    /// Carries bytes both ways until one side ends, or the door shuts.
    fn carry(&self, visitor: &TcpStream) {
        if self.room() > 0
            && let Ok(server) = TcpStream::connect_timeout(&self.server, ANSWER_WITHIN)
        {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _ = io::copy(&mut &*visitor, &mut &server);
                    let _ = server.shutdown(Shutdown::Write);
                });
                // However this ends, the visitor notices by its connection.
                let _ = self.carry_answer(&server, visitor);
                let _ = server.shutdown(Shutdown::Both);
                let _ = visitor.shutdown(Shutdown::Both);
            });
        }
    }

    fn carry_answer(&self, mut server: &TcpStream, mut visitor: &TcpStream) -> io::Result<()> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let room = usize::try_from(self.room()).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let n_read = server.read(&mut piece[..room])?;
            if n_read == 0 {
                return Ok(());
            }
            self.carried.fetch_add(n_read as u64, Ordering::SeqCst);
            visitor.write_all(&piece[..n_read])?;
        }
    }

    fn room(&self) -> u64 {
        self.limit.load(Ordering::SeqCst).saturating_sub(self.carried.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER_BYTES: usize = 300_000;

    /// A server that answers any connection with the same bytes.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                // A client that the door shut out hears nothing.
                let _ = client.write_all(&[7; ANSWER_BYTES]);
            }
        });
        address
    }

    fn heard(relay: &Relay) -> usize {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
        let mut bytes = Vec::new();
        let _ = client.read_to_end(&mut bytes);
        bytes.len()
    }

    #[test]
    fn an_open_door_carries_everything() {
        let relay = Relay::open(server()).unwrap();
        assert_eq!(heard(&relay), ANSWER_BYTES);
        assert_eq!(relay.carried_bytes(), ANSWER_BYTES as u64);
        assert!(!relay.is_shut());
    }

    #[test]
    fn a_door_shuts_at_the_byte_and_opens_again() {
        let relay = Relay::open(server()).unwrap();
        relay.shut_after(100_001);
        assert!(heard(&relay) <= 100_001);
        assert_eq!((relay.carried_bytes(), relay.is_shut()), (100_001, true));
        assert_eq!(heard(&relay), 0, "nobody gets in");
        relay.shut_after(u64::MAX);
        assert_eq!(heard(&relay), ANSWER_BYTES);
    }
}
