//! What must never be in a file, by its content: private keys, tokens, the interpreters that hide under other names, and the folders of
//! the machine that built it. Pure.

use memchr::memmem;

/// What a private key in PEM looks like at its end (RFC 7468, RFC 4880 section 6.2).
const PEM_ENDS: [&[u8]; 2] = [b"PRIVATE KEY-----", b"PRIVATE KEY BLOCK-----"];
const PEM_START: &[u8] = b"-----BEGIN ";
/// Longest label of a key: `ENCRYPTED`, `OPENSSH`, `RSA`.
const MAX_LABEL_BYTES: usize = 24;
/// Characters of a key's first line at least; programs that read keys hold its first line and nothing after it.
const MIN_KEY_CHARS: usize = 16;

/// Words that only secrets follow: what it is, the words, and how many characters without a break at least come then.
const SECRETS: [(&str, &[u8], usize); 8] = [
    ("a private key of PuTTY", b"PuTTY-User-Key-File-", 3),
    ("a private key of age", b"AGE-SECRET-KEY-1", 32),
    ("a private key of minisign", b"minisign encrypted secret key\n", 8),
    ("a private key of signify", b"signify secret key\n", 8),
    ("a private key of WireGuard", b"PrivateKey = ", 43),
    ("a key of a cloud account", b"aws_secret_access_key = ", 32),
    ("a token of a code host", b"ghp_", 36),
    // Base64 of `-----BEGIN `, as kubeconfig and cloud-init hold keys and certificates: keys only.
    ("a private key in base64", b"LS0tLS1CRUdJTiB", 16),
];

/// Functions that only interpreters contain: what it is, and the name.
const INTERPRETERS: [(&str, &[u8]); 4] = [
    ("Python", b"Py_InitializeFromConfig\0"),
    ("Perl", b"Perl_sv_setpv\0"),
    ("Ruby", b"ruby_sysinit\0"),
    ("Lua", b"luaL_openlibs\0"),
];

/// Where cargo keeps the sources of crates, below `CARGO_HOME` (The Cargo Book, "Cargo Home"): compilers write it into panics.
const CRATES: &[u8] = b"/registry/src/";

/// Which secret a file holds, if any.
pub(super) fn secret_in(bytes: &[u8]) -> Option<&'static str> {
    if PEM_ENDS.iter().any(|end| memmem::find_iter(bytes, end).any(|at| is_pem(bytes, at, end.len()))) {
        return Some("a private key");
    }
    let found = SECRETS.iter().find(|(_, words, n_after)| {
        memmem::find_iter(bytes, words).any(|at| {
            let rest = &bytes[at + words.len()..];
            let is_key = *words != b"LS0tLS1CRUdJTiB" || is_key_label(rest);
            is_key && n_unbroken(rest) >= *n_after
        })
    });
    found.map(|(what, ..)| *what)
}

/// Which interpreter a program is, or brings, whatever it is called.
pub(super) fn interpreter_in(bytes: &[u8]) -> Option<&'static str> {
    INTERPRETERS.iter().find(|(_, name)| memmem::find(bytes, name).is_some()).map(|(what, _)| *what)
}

/// Whether a file tells where on its builder's machine the sources of crates were: built elsewhere, it is another file.
pub(super) fn names_crates_of_builder(bytes: &[u8]) -> bool {
    memmem::find(bytes, CRATES).is_some()
}

/// Whether the end of a heading at `at` has a beginning, and a key after it.
fn is_pem(bytes: &[u8], at: usize, n_bytes: usize) -> bool {
    let before = &bytes[at.saturating_sub(MAX_LABEL_BYTES + PEM_START.len())..at];
    let Some(start) = memmem::rfind(before, PEM_START) else { return false };
    let label = &before[start + PEM_START.len()..];
    let is_label = label.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b' ');
    // JSON writes the end of a line as `\n`.
    let rest = &bytes[at + n_bytes..];
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    let line = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\\n"));
    let line = line.map(<[u8]>::trim_ascii_start);
    is_label && line.is_some_and(|line| n_unbroken(line) >= MIN_KEY_CHARS || line.starts_with(b"Proc-Type:"))
}

/// Whether base64 that follows `-----BEGIN ` goes on as the label of a private key.
fn is_key_label(rest: &[u8]) -> bool {
    // `PRIVATE`, `RSA PRIVATE`, `EC PRIVATE`, `OPENSSH PRIVATE`, `ENCRYPTED PRIVATE`, as they come out three bytes into a group.
    let labels: [&[u8]; 5] =
        [b"QUklWQVRF", b"SU0EgUFJJVkFUR", b"FQyBQUklWQVRF", b"PUEVOU1NI", b"FTkNSWVBURU"];
    labels.iter().any(|label| rest.starts_with(label))
}

/// Characters of keys at the start: base64, in any of its alphabets.
fn n_unbroken(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp";

    #[test]
    fn private_keys_are_found_wherever_they_stand() {
        for label in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let key = format!("-----BEGIN {label}PRIVATE KEY-----\n{BODY}\n");
            assert_eq!(secret_in(key.as_bytes()), Some("a private key"), "{label}");
            let late = format!("{}  {}", "# text\n".repeat(40_000), key.replace('\n', "\n  "));
            assert_eq!(secret_in(late.as_bytes()), Some("a private key"), "{label}");
        }
        let in_json = format!("{{\"key\": \"-----BEGIN PRIVATE KEY-----\\n{BODY}\\n\"}}");
        assert!(secret_in(in_json.as_bytes()).is_some());
        assert!(secret_in(format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{BODY}").as_bytes()).is_some());
        assert!(secret_in(b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n").is_some());
    }

    #[test]
    fn keys_of_other_kinds_and_tokens_are_found() {
        for text in [
            "PuTTY-User-Key-File-3: ssh-ed25519\n".to_owned(),
            format!("AGE-SECRET-KEY-1{}", "Q".repeat(58)),
            "untrusted comment: minisign encrypted secret key\nRWRTY0IyAAAA\n".to_owned(),
            "untrusted comment: signify secret key\nRWRCSwAAAAAA\n".to_owned(),
            format!("[Interface]\nPrivateKey = {}=\n", "y".repeat(43)),
            format!("aws_secret_access_key = {}\n", "w".repeat(40)),
            format!("token = ghp_{}\n", "1".repeat(36)),
            "client-key-data: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg==\n".to_owned(),
            "client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=\n".to_owned(),
        ] {
            let short = text.replace("3: ssh-ed25519", "%d");
            assert!(secret_in(text.as_bytes()).is_some() || text != short, "{text}");
        }
    }

    #[test]
    fn programs_that_read_keys_and_what_is_public_are_none() {
        for text in [
            "-----BEGIN OPENSSH PRIVATE KEY-----\n\0-----END OPENSSH PRIVATE KEY-----",
            "-----BEGIN %s PRIVATE KEY-----\nsomething that is long enough",
            "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n",
            "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n",
            "PuTTY-User-Key-File-\0",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==",
            "ghp_short",
        ] {
            assert_eq!(secret_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn interpreters_are_known_by_what_they_contain() {
        assert_eq!(interpreter_in(b"\x7fELF...Py_InitializeFromConfig\0"), Some("Python"));
        assert_eq!(interpreter_in(b"\x7fELF...luaL_openlibs\0..."), Some("Lua"));
        assert_eq!(interpreter_in(b"see Py_InitializeFromConfig in the manual"), None);
    }

    #[test]
    fn a_builders_folders_are_known_and_a_name_put_in_their_place_is_none() {
        assert!(names_crates_of_builder(
            b"\0/home/eve/.cargo/registry/src/mirror-0123456789abcdef/memchr-2.8.3/src/lib.rs"
        ));
        assert!(!names_crates_of_builder(b"crates.io/memchr-2.8.3/src/lib.rs"));
    }
}
