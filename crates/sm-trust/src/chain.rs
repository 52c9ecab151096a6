//! The hash chain of an append-only log: every entry's digest covers its predecessor's, so that nobody can change, drop, add or
//! reorder an entry without changing the last digest. Pure: where entries are kept is other crates' business.

use std::{fmt, str::FromStr};

use sha2::Digest as _;
use sm_model::{Sha256, Timestamp};

/// First line of the bytes that are digested. Changing this breaks every log.
const MAGIC: &str = "stationmaster event 1";

/// Longest kind, in bytes.
pub const MAX_KIND_LEN: usize = 64;

/// Where a log stands: how many entries it has, and the digest of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Number of the last entry, from 1; 0 when there is none.
    pub seq: u64,
    /// Digest of the last entry; all zeros when there is none.
    pub digest: Sha256,
}

impl Head {
    /// The head of a log without entries.
    pub const EMPTY: Head = Head { seq: 0, digest: Sha256([0; 32]) };
}

impl fmt::Display for Head {
    /// `SEQ:DIGEST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.digest)
    }
}

/// A text that is no head of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the head of a log: expected NUMBER:SHA-256", .0.escape_debug())]
pub struct InvalidHead(String);

impl FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let head = text
            .split_once(':')
            .and_then(|(seq, digest)| Some(Head { seq: seq.parse().ok()?, digest: digest.parse().ok()? }));
        head.filter(|head| (head.seq == 0) == (head.digest == Head::EMPTY.digest))
            .ok_or_else(|| InvalidHead(text.chars().take(100).collect()))
    }
}

/// One entry as it is digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was appended.
    pub recorded: Timestamp,
    /// What it is: `vote.cast`.
    pub kind: &'a str,
    /// Its document, byte for byte.
    pub body: &'a str,
    /// Digest of the entry before it.
    pub previous: Sha256,
}

impl Link<'_> {
    /// SHA-256 over the canonical bytes: five lines (the magic, number, time, kind, digest of the predecessor), then the body.
    pub fn digest(&self) -> Sha256 {
        let Link { seq, recorded, kind, body, previous } = self;
        let head = format!("{MAGIC}\n{seq}\n{recorded}\n{kind}\n{previous}\n");
        Sha256(sha2::Sha256::new().chain_update(head).chain_update(body).finalize().into())
    }
}

/// Why entries are no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// An entry is missing, there twice, or out of place.
    #[error("entry {found} follows entry {after}: one is missing, there twice, or out of place")]
    OutOfPlace {
        /// Number of the entry before.
        after: u64,
        /// Number that was found.
        found: u64,
    },
    /// An entry was made to follow another one than it does.
    #[error("entry {seq} was made to follow `{named}`, but follows `{actual}`")]
    OtherPredecessor {
        /// Which entry.
        seq: u64,
        /// Digest that it names.
        named: Sha256,
        /// Digest of the entry before it.
        actual: Sha256,
    },
    /// An entry's digest is not the digest of its bytes.
    #[error("entry {seq} does not have the digest recorded with it: it was changed")]
    Changed {
        /// Which entry.
        seq: u64,
    },
    /// An entry claims to be older than the one before it.
    #[error("entry {seq} is dated {recorded}, before the entry that it follows")]
    WentBack {
        /// Which entry.
        seq: u64,
        /// Its date.
        recorded: Timestamp,
    },
    /// A kind that would blur where it ends.
    #[error("entry {seq} is of kind `{}`: expected dotted words of a-z, 0-9 and `-`", kind.escape_debug())]
    BadKind {
        /// Which entry.
        seq: u64,
        /// Its kind.
        kind: String,
    },
}

/// Walks along a chain and refuses the first entry that does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    head: Head,
    recorded: Option<Timestamp>,
}

impl Default for Follower {
    fn default() -> Self {
        Follower::from(Head::EMPTY)
    }
}

impl From<Head> for Follower {
    /// Starts behind an entry that is trusted already.
    fn from(head: Head) -> Self {
        Follower { head, recorded: None }
    }
}

impl Follower {
    /// The last entry that followed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes the next entry, with the digest that was recorded for it.
    ///
    /// # Errors
    /// When it does not follow, or is not what the digest says. The follower then stays where it was.
    pub fn follow(&mut self, link: &Link<'_>, recorded_digest: Sha256) -> Result<(), BrokenChain> {
        let seq = link.seq;
        if self.head.seq.checked_add(1) != Some(seq) {
            return Err(BrokenChain::OutOfPlace { after: self.head.seq, found: seq });
        }
        if link.previous != self.head.digest {
            return Err(BrokenChain::OtherPredecessor {
                seq,
                named: link.previous,
                actual: self.head.digest,
            });
        }
        if !is_kind(link.kind) {
            return Err(BrokenChain::BadKind { seq, kind: link.kind.chars().take(MAX_KIND_LEN).collect() });
        }
        if self.recorded.is_some_and(|earlier| link.recorded < earlier) {
            return Err(BrokenChain::WentBack { seq, recorded: link.recorded });
        }
        if link.digest() != recorded_digest {
            return Err(BrokenChain::Changed { seq });
        }
        *self = Follower { head: Head { seq, digest: recorded_digest }, recorded: Some(link.recorded) };
        Ok(())
    }
}

/// Whether a text is the name of a kind: dotted words of `a-z`, `0-9` and `-`, of at most [`MAX_KIND_LEN`] bytes.
pub fn is_kind(text: &str) -> bool {
    let clean = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= MAX_KIND_LEN && text.split('.').all(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs).unwrap()
    }

    /// An entry that owns its texts.
    #[derive(Debug, Clone, PartialEq)]
    struct Entry {
        seq: u64,
        secs: i64,
        kind: String,
        body: String,
        previous: Sha256,
        digest: Sha256,
    }

    impl Entry {
        fn link(&self) -> Link<'_> {
            Link {
                seq: self.seq,
                recorded: at(self.secs),
                kind: &self.kind,
                body: &self.body,
                previous: self.previous,
            }
        }
    }

    fn chain(bodies: &[String]) -> Vec<Entry> {
        let mut head = Head::EMPTY;
        let mut entries = Vec::new();
        for (seq, body) in (1..).zip(bodies) {
            let mut entry = Entry {
                seq,
                secs: 1_785_000_000 + i64::try_from(seq).unwrap(),
                kind: "vote.cast".to_owned(),
                body: body.clone(),
                previous: head.digest,
                digest: Head::EMPTY.digest,
            };
            entry.digest = entry.link().digest();
            head = Head { seq, digest: entry.digest };
            entries.push(entry);
        }
        entries
    }

    fn follow_all(entries: &[Entry]) -> Result<Head, BrokenChain> {
        let mut follower = Follower::default();
        for entry in entries {
            follower.follow(&entry.link(), entry.digest)?;
        }
        Ok(follower.head())
    }

    #[test]
    fn the_canonical_bytes_are_pinned() {
        let link = Link {
            seq: 1,
            recorded: "2026-11-23T05:26:00Z".parse().unwrap(),
            kind: "vote.cast",
            body: r#"{"vote":"go"}"#,
            previous: Head::EMPTY.digest,
        };
        // printf 'stationmaster event 1\n1\n2026-11-23T05:26:00Z\nvote.cast\n%064d\n{"vote":"go"}' 0 | sha256sum
        assert_eq!(
            link.digest().to_string(),
            "b33010eb5a8d7f44438c0382d84e8f82eae2f7b13e1cad2c1935282176f0325a"
        );
    }

    #[test]
    fn heads_print_and_read_back() {
        let head = follow_all(&chain(&["{}".to_owned()])).unwrap();
        for head in [Head::EMPTY, head] {
            assert_eq!(head.to_string().parse(), Ok(head));
        }
        for text in
            ["", "1", ":", "1:ab", &format!("0:{}", head.digest), &format!("1:{}", Head::EMPTY.digest)]
        {
            assert!(text.parse::<Head>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn kinds_are_dotted_words() {
        for kind in ["vote.cast", "train.opened", "n1", "a-b.c"] {
            assert!(is_kind(kind), "{kind}");
        }
        for kind in ["", ".", "a.", "A", "a b", "a\nb", &"a".repeat(65)] {
            assert!(!is_kind(kind), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn a_chain_follows_itself(bodies in prop::collection::vec("\\PC{0,20}", 0..8)) {
            let entries = chain(&bodies);
            let head = entries.last().map_or(Head::EMPTY, |last| Head { seq: last.seq, digest: last.digest });
            prop_assert_eq!(follow_all(&entries), Ok(head));
        }

        #[test]
        fn no_change_goes_unnoticed(
            bodies in prop::collection::vec("\\PC{0,20}", 2..8),
            place: prop::sample::Index,
            change in 0..6_u8,
        ) {
            let entries = chain(&bodies);
            let head = follow_all(&entries).unwrap();
            let mut changed = entries.clone();
            let idx = place.index(changed.len());
            match change {
                0 => changed[idx].body.push(' '),
                1 => changed[idx].secs += 1,
                2 => changed[idx].kind = "vote.cast2".to_owned(),
                3 => { changed.remove(idx); }
                4 => changed.insert(idx, entries[idx].clone()),
                _ => changed.swap(idx, (idx + 1) % entries.len()),
            }
            prop_assert_ne!(follow_all(&changed), Ok(head));
        }

        #[test]
        fn rewriting_an_entry_and_all_that_follow_changes_the_head(
            bodies in prop::collection::vec("\\PC{0,20}", 1..8),
            place: prop::sample::Index,
        ) {
            let mut rewritten = bodies.clone();
            let idx = place.index(bodies.len());
            rewritten[idx].push('!');
            prop_assert_ne!(follow_all(&chain(&rewritten)), follow_all(&chain(&bodies)));
        }
    }

    #[test]
    fn an_entry_dated_before_its_predecessor_is_refused() {
        let mut entries = chain(&["a".to_owned(), "b".to_owned()]);
        entries[1].secs = 0;
        entries[1].digest = entries[1].link().digest();
        assert!(matches!(follow_all(&entries), Err(BrokenChain::WentBack { seq: 2, .. })));
    }
}
