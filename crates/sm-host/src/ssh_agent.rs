//! A running ssh-agent: asks it for signatures, so that keys with passphrases and keys in hardware can vote.
//!
//! The protocol is that of draft-ietf-sshm-ssh-agent, of which two requests are spoken. What is signed, and what a signature is worth,
//! is other crates' business.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use sm_model::exit;

/// Longest answer that is read, in bytes: stops an agent that is none.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How long the agent may take: a person may have to touch a key.
const TIMEOUT: Duration = Duration::from_secs(60);

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// What can go wrong with an agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It cannot be reached.
    #[error("cannot reach the ssh-agent at `{}`", path.display())]
    Connect {
        /// Its socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It stopped talking.
    #[error("the ssh-agent did not answer")]
    Talk(#[source] io::Error),
    /// It refused.
    #[error("the ssh-agent refused to sign")]
    Refused,
    /// Its answer makes no sense.
    #[error("the ssh-agent gave an answer that is none")]
    Malformed,
}

impl AgentError {
    /// The next command or step.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            AgentError::Connect { .. } => "start one with `eval $(ssh-agent)`, or sign with `--key FILE`",
            AgentError::Refused => "look at its keys with `ssh-add -l`; add one with `ssh-add FILE`",
            AgentError::Talk(_) | AgentError::Malformed => return None,
        };
        Some(hint.to_owned())
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        exit::FAILURE
    }
}

/// A connection to an agent.
#[derive(Debug)]
pub struct Agent<S = UnixStream> {
    stream: S,
}

impl Agent {
    /// Connects to the agent that listens at `path` (people have it in `SSH_AUTH_SOCK`).
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> Result<Agent, AgentError> {
        let failed = |source| AgentError::Connect { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
        Ok(Agent { stream })
    }
}

impl<S: Read + Write> Agent<S> {
    /// Talks over a connection that is there already.
    pub fn over(stream: S) -> Agent<S> {
        Agent { stream }
    }

    /// The public keys it can sign with, as bytes on the wire (RFC 4253, section 6.6).
    ///
    /// # Errors
    /// When it does not answer, or not sensibly.
    pub fn keys(&mut self) -> Result<Vec<Vec<u8>>, AgentError> {
        let answer = self.ask(REQUEST_IDENTITIES, &[])?;
        let mut rest = Rest(payload(&answer, IDENTITIES_ANSWER)?);
        let n_keys = rest.number()?;
        let mut keys = Vec::new();
        for _ in 0..n_keys {
            keys.push(rest.string()?.to_vec());
            rest.string()?;
        }
        Ok(keys)
    }

    /// The bare signature of a key over bytes: 64 bytes for Ed25519.
    ///
    /// # Errors
    /// When it refuses, does not answer, or not sensibly.
    pub fn sign(&mut self, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut body = Vec::new();
        push_string(&mut body, key);
        push_string(&mut body, bytes);
        body.extend(0_u32.to_be_bytes());
        let answer = self.ask(SIGN_REQUEST, &body)?;
        let mut signature = Rest(Rest(payload(&answer, SIGN_RESPONSE)?).string()?);
        signature.string()?;
        signature.string().map(<[u8]>::to_vec)
    }

    fn ask(&mut self, kind: u8, body: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut request = Vec::new();
        push_string(&mut request, &[&[kind], body].concat());
        self.stream.write_all(&request).map_err(AgentError::Talk)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(AgentError::Talk)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| AgentError::Malformed)?;
        if length > MAX_ANSWER_BYTES {
            return Err(AgentError::Malformed);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).map_err(AgentError::Talk)?;
        Ok(answer)
    }
}

fn payload(answer: &[u8], expected: u8) -> Result<&[u8], AgentError> {
    match answer.split_first() {
        Some((kind, rest)) if *kind == expected => Ok(rest),
        // SSH_AGENT_FAILURE, or a kind that answers something else.
        Some(_) => Err(AgentError::Refused),
        None => Err(AgentError::Malformed),
    }
}

fn push_string(bytes: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("requests are far below 4 GiB");
    bytes.extend(length.to_be_bytes());
    bytes.extend(string);
}

/// What is left of an answer.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn number(&mut self) -> Result<u32, AgentError> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(AgentError::Malformed)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Result<&'a [u8], AgentError> {
        let length = usize::try_from(self.number()?).map_err(|_| AgentError::Malformed)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(AgentError::Malformed)?;
        self.0 = rest;
        Ok(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which everything was answered beforehand.
    struct Answered {
        answers: io::Cursor<Vec<u8>>,
        asked: Vec<u8>,
    }

    impl Read for Answered {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Answered {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn agent(answer: &[u8]) -> Agent<Answered> {
        let mut framed = Vec::new();
        push_string(&mut framed, answer);
        Agent::over(Answered { answers: io::Cursor::new(framed), asked: vec![] })
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut framed = Vec::new();
        push_string(&mut framed, bytes);
        framed
    }

    #[test]
    fn keys_are_listed_without_their_comments() {
        let answer = [
            vec![IDENTITIES_ANSWER, 0, 0, 0, 2],
            string(b"k1"),
            string(b"alice"),
            string(b"k2"),
            string(b""),
        ];
        let mut agent = agent(&answer.concat());
        assert_eq!(agent.keys().unwrap(), [b"k1".to_vec(), b"k2".to_vec()]);
        assert_eq!(agent.stream.asked, [0, 0, 0, 1, REQUEST_IDENTITIES]);
    }

    #[test]
    fn a_signature_is_taken_out_of_its_frames() {
        let signature = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
        let mut agent = agent(&[vec![SIGN_RESPONSE], string(&signature)].concat());
        assert_eq!(agent.sign(b"k1", b"data").unwrap(), [7; 64]);
        assert_eq!(
            agent.stream.asked[4..],
            [vec![SIGN_REQUEST], string(b"k1"), string(b"data"), vec![0; 4]].concat()
        );
    }

    #[test]
    fn a_refusal_is_told() {
        assert!(matches!(agent(&[5]).sign(b"k", b"d"), Err(AgentError::Refused)));
    }

    #[test]
    fn hostile_answers_are_refused() {
        let endless = [IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff];
        let long_string = [IDENTITIES_ANSWER, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        for answer in [&[][..], &[IDENTITIES_ANSWER], &endless, &long_string] {
            assert!(matches!(agent(answer).keys(), Err(AgentError::Malformed)), "{answer:?}");
        }
        let huge = Answered { answers: io::Cursor::new(vec![0xff; 8]), asked: vec![] };
        assert!(matches!(Agent::over(huge).keys(), Err(AgentError::Malformed)));
        let cut = Answered { answers: io::Cursor::new(vec![0, 0, 0, 9, 12]), asked: vec![] };
        assert!(matches!(Agent::over(cut).keys(), Err(AgentError::Talk(_))));
    }
}
