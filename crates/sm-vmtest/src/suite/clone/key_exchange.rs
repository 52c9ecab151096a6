//! What an SSH server offers, read from the first packet that it sends unasked (RFC 4253, sections 4.2, 6 and 7.1).

/// Longest greeting before the version line (RFC 4253, section 4.2, has no bound): stops a peer that only talks.
const MAX_GREETING_BYTES: usize = 8 << 10;
/// Longest packet that has to be understood (section 6.1).
const MAX_PACKET_BYTES: usize = 35_000;
/// Number of the first packet.
const SSH_MSG_KEXINIT: u8 = 20;

/// Algorithms that a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The version line.
    pub version: String,
    /// Key exchange.
    pub key_exchange: Vec<String>,
    /// Host keys.
    pub host_key: Vec<String>,
    /// Ciphers, towards the client.
    pub ciphers: Vec<String>,
    /// Authentication codes, towards the client.
    pub macs: Vec<String>,
}

/// What `bytes` are the beginning of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Everything is there.
    Whole(Offer),
    /// More has to come.
    Partial,
}

/// Reads what a server sends unasked.
///
/// # Errors
/// With what is wrong, when it is no SSH server's greeting.
pub fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let Some((version, packet)) = version_line(bytes)? else { return Ok(Parsed::Partial) };
    let Some((header, body)) = packet.split_first_chunk::<5>() else { return Ok(Parsed::Partial) };
    let [a, b, c, d, padding] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_PACKET_BYTES || length < usize::from(padding) + 2 {
        return Err(format!("its first packet claims {length} bytes with {padding} of padding"));
    }
    // The length counts the padding's own length byte, which is in the header here.
    let Some(payload) = body.get(..length - 1 - usize::from(padding)) else { return Ok(Parsed::Partial) };
    let Some((&SSH_MSG_KEXINIT, rest)) = payload.split_first() else {
        return Err("its first packet offers no key exchange".to_owned());
    };
    let rest = rest.get(16..).ok_or("its first packet has no cookie")?;
    lists(version, rest).map(Parsed::Whole)
}

/// The version line and what follows it; a server may say other lines before.
fn version_line(bytes: &[u8]) -> Result<Option<(String, &[u8])>, String> {
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
        rest = &rest[end + 1..];
        if line.starts_with("SSH-2.0-") {
            return Ok(Some((line, rest)));
        }
        if bytes.len() - rest.len() > MAX_GREETING_BYTES {
            break;
        }
    }
    if rest.len() > MAX_GREETING_BYTES || bytes.len() - rest.len() > MAX_GREETING_BYTES {
        return Err("it says no SSH version".to_owned());
    }
    Ok(None)
}

/// The first six name lists of a key exchange.
fn lists(version: String, mut rest: &[u8]) -> Result<Offer, String> {
    let mut next = || -> Result<Vec<String>, String> {
        let (length, after) = rest.split_first_chunk::<4>().ok_or("a list of algorithms is cut off")?;
        let length = u32::from_be_bytes(*length) as usize;
        let names = after.get(..length).ok_or("a list of algorithms is longer than its packet")?;
        rest = &after[length..];
        let names = std::str::from_utf8(names).map_err(|_| "a list of algorithms is no text")?;
        Ok(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    let (key_exchange, host_key) = (next()?, next()?);
    let (_ciphers_in, ciphers) = (next()?, next()?);
    let (_macs_in, macs) = (next()?, next()?);
    Ok(Offer { version, key_exchange, host_key, ciphers, macs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(lists: &[&str]) -> Vec<u8> {
        let mut payload = vec![SSH_MSG_KEXINIT];
        payload.extend([7; 16]);
        for list in lists {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        let mut bytes = b"SSH-2.0-OpenSSH_10.0\r\n".to_vec();
        bytes.extend((payload.len() as u32 + 1 + 4).to_be_bytes());
        bytes.push(4);
        bytes.extend(payload);
        bytes.extend([0; 4]);
        bytes
    }

    const LISTS: [&str; 6] = ["curve25519-sha256,x", "ssh-ed25519", "in", "chacha20", "in", "hmac"];

    #[test]
    fn an_offer_is_read_list_by_list() {
        let Ok(Parsed::Whole(offer)) = parse(&greeting(&LISTS)) else { panic!() };
        assert_eq!(offer.version, "SSH-2.0-OpenSSH_10.0");
        assert_eq!(offer.key_exchange, ["curve25519-sha256", "x"]);
        assert_eq!(
            (offer.host_key, offer.ciphers, offer.macs),
            (vec!["ssh-ed25519".to_owned()], vec!["chacha20".to_owned()], vec!["hmac".to_owned()])
        );
    }

    #[test]
    fn a_greeting_cut_anywhere_is_the_beginning_of_one() {
        let whole = greeting(&LISTS);
        for cut in 0..whole.len() - 4 {
            assert_eq!(parse(&whole[..cut]), Ok(Parsed::Partial), "cut at {cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_server_says_is_read_or_refused(
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            at in 0_usize..100,
        ) {
            let _refused = parse(&noise);
            let mut lying = greeting(&LISTS);
            let at = at.min(lying.len());
            lying.splice(at.., noise);
            let _read = parse(&lying);
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let whole = greeting(&LISTS);
        let start = b"SSH-2.0-OpenSSH_10.0\r\n".len();
        let with = |at: usize, bytes: &[u8]| {
            let mut lying = whole.clone();
            lying[start + at..start + at + bytes.len()].copy_from_slice(bytes);
            parse(&lying)
        };
        assert!(with(0, &[0xff; 4]).is_err(), "a packet without end");
        assert!(with(0, &[0, 0, 0, 3]).is_err(), "more padding than packet");
        assert!(with(5, &[21]).is_err(), "another packet");
        assert!(with(22, &[0xff; 4]).is_err(), "a list without end");
        assert!(parse(&[b'x'; 20_000]).is_err(), "talk without end");
        assert!(parse(&b"x\n".repeat(10_000)).is_err(), "lines without end");
    }
}
