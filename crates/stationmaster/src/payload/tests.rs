//! The four verbs together, on real files and real keys.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use clap::Parser;
use sm_image::payload::read::ReadError;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn payload(line: &[&str]) -> anyhow::Result<Outcome> {
    let Line { args } = Line::try_parse_from([&["payload"], line].concat())?;
    run(&args, &Context::silent(true))
}

/// A folder with a key pair, an image and a kernel.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        payload(&["keygen", &folder.path("keys")]).unwrap();
        fs::write(folder.path("usr"), b"usr and more\n".repeat(4096 * 30)).unwrap();
        fs::write(folder.path("kernel"), b"MZ kernel").unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("temporary folders have names in ASCII").to_owned()
    }

    fn private(&self) -> String {
        self.path(&format!("keys/{}", keygen::PRIVATE_NAME))
    }

    fn public(&self) -> String {
        self.path(&format!("keys/{}", keygen::PUBLIC_NAME))
    }

    fn build(&self) -> anyhow::Result<Outcome> {
        let (usr, kernel, out) = (self.path("usr"), self.path("kernel"), self.path("update.gz"));
        payload(&["build", "--image", &usr, "--kernel", &kernel, "--key", &self.private(), "-o", &out])
    }

    fn verify(&self) -> anyhow::Result<Outcome> {
        payload(&["verify", &self.path("update.gz"), "--key", &self.public()])
    }

    /// Why the payload is refused after one byte was changed.
    fn verify_flipped(&self, position: usize) -> ReadError {
        let path = PathBuf::from(self.path("update.gz"));
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[position] ^= 1;
        fs::write(&path, flipped).unwrap();
        let refused = self.verify().expect_err("a flipped byte is refused");
        fs::write(&path, good).unwrap();
        refused.downcast().expect("the reader says why")
    }
}

#[test]
fn a_payload_is_built_shown_and_verified() {
    let folder = Folder::new();
    folder.build().unwrap();
    payload(&["show", &folder.path("update.gz")]).unwrap();
    folder.verify().unwrap();
    let left: Vec<_> =
        fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let folder = Folder::new();
    folder.build().unwrap();
    let first = fs::read(folder.path("update.gz")).unwrap();
    folder.build().unwrap();
    assert!(fs::read(folder.path("update.gz")).unwrap() == first);
}

#[test]
fn only_the_owner_can_read_the_private_key() {
    let folder = Folder::new();
    let mode = |path: String| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.private()), mode(folder.public())), (0o600, 0o644));
}

#[test]
fn a_key_pair_is_never_overwritten() {
    let folder = Folder::new();
    let before = fs::read(folder.private()).unwrap();
    let error = payload(&["keygen", &folder.path("keys")]).unwrap_err();
    assert!(error.to_string().contains("expected a folder without a key pair"), "{error}");
    assert!(fs::read(folder.private()).unwrap() == before);
}

#[test]
fn a_payload_signed_by_another_key_is_refused() {
    let folder = Folder::new();
    folder.build().unwrap();
    let stranger = Folder::new();
    let error = payload(&["verify", &folder.path("update.gz"), "--key", &stranger.public()]).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(ReadError::Signature(_))), "{error:#}");
    assert!(format!("{error:#}").contains("none of 1 signatures was made by the key"), "{error:#}");
}

#[test]
fn two_keys_sign_and_either_verifies() {
    let (folder, other) = (Folder::new(), Folder::new());
    let (usr, kernel, out) = (folder.path("usr"), folder.path("kernel"), folder.path("update.gz"));
    let inputs = ["build", "--image", &usr, "--kernel", &kernel, "-o", &out];
    payload(&[&inputs[..], &["--key", &other.private(), "--key", &folder.private()]].concat()).unwrap();
    folder.verify().unwrap();
    payload(&["verify", &out, "--key", &other.public()]).unwrap();
}

#[test]
fn a_flipped_byte_in_header_manifest_data_or_signature_is_refused() {
    let folder = Folder::new();
    folder.build().unwrap();
    let len = fs::metadata(folder.path("update.gz")).unwrap().len() as usize;
    assert!(matches!(folder.verify_flipped(0), ReadError::WrongMagic { .. }));
    assert!(matches!(folder.verify_flipped(40), ReadError::DataDigest { .. }));
    assert!(matches!(folder.verify_flipped(len - 264 - 5), ReadError::DataDigest { .. }));
    assert!(matches!(folder.verify_flipped(len - 100), ReadError::Signature(_)));
}

#[test]
fn a_cut_payload_is_refused_with_the_place() {
    let folder = Folder::new();
    folder.build().unwrap();
    let path = folder.path("update.gz");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 264 - 3]).unwrap();
    let error = folder.verify().unwrap_err();
    assert!(format!("{error:#}").contains("inside the data of operation 0 of the kernel"), "{error:#}");
}

#[test]
fn a_failed_build_leaves_nothing_behind_and_keeps_what_was_there() {
    let folder = Folder::new();
    fs::write(folder.path("usr"), b"not a whole block").unwrap();
    fs::write(folder.path("update.gz"), b"older").unwrap();
    let error = folder.build().unwrap_err();
    assert!(format!("{error:#}").contains("expected a positive multiple of 4096"), "{error:#}");
    assert_eq!(fs::read(folder.path("update.gz")).unwrap(), b"older");
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 4);
}

#[test]
fn missing_files_and_wrong_keys_are_named() {
    let folder = Folder::new();
    let error = payload(&["show", &folder.path("nothing")]).unwrap_err();
    assert!(format!("{error:#}").contains("cannot open"), "{error:#}");
    folder.build().unwrap();
    let error = payload(&["verify", &folder.path("update.gz"), "--key", &folder.private()]).unwrap_err();
    assert!(format!("{error:#}").contains("expected `PUBLIC KEY`"), "{error:#}");
    assert!(Path::new(&folder.path("update.gz")).exists());
}

#[test]
fn an_answer_is_given_for_a_path_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    let keys = place.path().join(std::ffi::OsStr::from_bytes(b"keys-\xff"));
    let line = ["payload".as_ref(), "keygen".as_ref(), keys.as_os_str()];
    let Line { args } = Line::try_parse_from(line).unwrap();
    assert!(matches!(run(&args, &Context::silent(true)), Ok(Outcome::Done)));
    assert!(keys.join("update-payload-key.key.pem").is_file());
}
