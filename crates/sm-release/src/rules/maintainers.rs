//! `maintainers.toml`: who votes with weight, for which roles, with which keys and accounts.

use sm_model::{Handle, Role, statement::Voter};

use super::text::{Problem, Reader, Section};
use crate::{proof::PublicKey, room::Account};

/// One person who votes with weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    /// Short name.
    pub handle: Handle,
    /// For which roles they can speak.
    pub roles: Vec<Role>,
    /// Whether they count for the quorum.
    pub active: bool,
    /// Public keys.
    pub keys: Vec<PublicKey>,
    /// The same, as written.
    key_texts: Vec<String>,
    /// Accounts in chat rooms that speak for them: `@alice:example.org`.
    pub accounts: Vec<Account>,
}

/// Everybody who votes with weight, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainers(Vec<Maintainer>);

impl Maintainers {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with lines.
    pub fn parse(text: &str) -> Result<Maintainers, Vec<Problem>> {
        Reader::read(text, |root, reader| {
            let mut people: Vec<Maintainer> = Vec::new();
            for mut section in root.tables("maintainer", reader) {
                if let Some(person) = read(&mut section, reader) {
                    refuse_repeats(&people, &person, section.offset(), reader);
                    people.push(person);
                }
                section.finish(reader);
            }
            people.sort_by(|a, b| a.handle.cmp(&b.handle));
            Maintainers(people)
        })
    }

    /// The maintainer of that name.
    pub fn get(&self, handle: &Handle) -> Option<&Maintainer> {
        self.0.iter().find(|person| person.handle == *handle)
    }

    /// The maintainer for whom an account in a chat room speaks.
    pub fn by_account(&self, account: &Account) -> Option<&Maintainer> {
        self.0.iter().find(|person| person.accounts.contains(account))
    }

    /// The maintainer who has a key.
    pub fn by_key(&self, key: &PublicKey) -> Option<&Maintainer> {
        self.0.iter().find(|person| person.keys.iter().any(|known| known.fingerprint() == key.fingerprint()))
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Maintainer> {
        self.0.iter()
    }

    /// The list as a poll keeps it.
    pub fn voters(&self) -> Vec<Voter> {
        let voter = |person: &Maintainer| Voter {
            handle: person.handle.clone(),
            roles: person.roles.clone(),
            active: person.active,
            keys: person.key_texts.clone(),
        };
        self.0.iter().map(voter).collect()
    }
}

fn read(section: &mut Section<'_, '_>, reader: &mut Reader<'_>) -> Option<Maintainer> {
    let handle = section.required("handle", reader);
    let roles = section.list("roles", reader).into_iter().map(|at| at.value).collect();
    let active = section.flag("active", reader).unwrap_or(true);
    let texts = section.list::<String>("keys", reader);
    let mut keys = Vec::new();
    for at in &texts {
        match PublicKey::parse(&at.value) {
            Ok(key) => keys.push(key),
            Err(error) => reader.note(at.offset, error.to_string()),
        }
    }
    let accounts = section.list::<Account>("accounts", reader);
    for at in accounts.iter().filter(|at| at.value.is_puppet()) {
        reader.note(
            at.offset,
            format!("a bridge speaks through `{}`: expected an account of theirs", at.value),
        );
    }
    let accounts = accounts.into_iter().map(|at| at.value).collect();
    let key_texts = texts.into_iter().map(|at| at.value).collect();
    Some(Maintainer { handle: handle?.value, roles, active, keys, key_texts, accounts })
}

/// One person has one name, one key speaks for one person, and so does one account.
fn refuse_repeats(earlier: &[Maintainer], person: &Maintainer, offset: usize, reader: &mut Reader<'_>) {
    for other in earlier {
        if other.handle == person.handle {
            reader.note(offset, format!("`{}` is listed twice", person.handle));
        }
        let shared = |key: &PublicKey| other.keys.iter().any(|k| k.fingerprint() == key.fingerprint());
        if person.keys.iter().any(shared) {
            reader.note(offset, format!("`{}` and `{}` have the same key", other.handle, person.handle));
        }
        if person.accounts.iter().any(|account| other.accounts.contains(account)) {
            reader.note(offset, format!("`{}` and `{}` have the same account", other.handle, person.handle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::PrivateKey;

    fn key(seed: u8) -> String {
        PrivateKey::from_seed(&[seed; 32], "test").unwrap().public_text().unwrap()
    }

    #[test]
    fn people_roles_keys_and_accounts_are_read() {
        let text = format!(
            "[[maintainer]]\nhandle = \"bob\"\nroles = [\"test\", \"build\"]\nkeys = [\"{}\"]\naccounts = \"@bob:x\"\n\
             [[maintainer]]\nhandle = \"alice\"\nactive = false\n",
            key(1)
        );
        let people = Maintainers::parse(&text).unwrap();
        let names: Vec<_> = people.iter().map(|person| person.handle.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
        let bob = people.by_account(&"@bob:x".parse().unwrap()).unwrap();
        assert_eq!((bob.roles.as_slice(), bob.active), (&[Role::Test, Role::Build][..], true));
        assert_eq!(people.by_key(&PublicKey::parse(&key(1)).unwrap()), Some(bob));
        assert_eq!(people.voters()[1].keys, [key(1)]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = format!(
            "[[maintainer]]\nhandle = \"Bob\"\nroles = [\"king\", \"test\"]\n\
             [[maintainer]]\nkeys = [\"ssh-rsa AAAA\", 5]\nkey = \"x\"\naccounts = [\"bob\", \"@_irc_bob:x\"]\n\
             [[maintainer]]\nhandle = \"carol\"\nkeys = [\"{0}\"]\n\
             [[maintainer]]\nhandle = \"dan\"\nkeys = [\"{0}\"]\n",
            key(1)
        );
        let problems: Vec<String> =
            Maintainers::parse(&text).unwrap_err().iter().map(ToString::to_string).collect();
        let starts = [
            "2:10: `Bob` is not a short name",
            "3:10: unknown role `king`",
            "4:1: `handle` is missing",
            "5:9: cannot read the public key",
            "5:25: found integer, expected a text in quotes",
            "6:1: unknown key `key`, expected one of `handle`",
            "7:13: `bob` is not an account",
            "7:20: a bridge speaks through `@_irc_bob:x`",
            "11:1: `carol` and `dan` have the same key",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem:?} {start:?}");
        }
    }
}
