//! Blobs are whole or absent, and what a digest names is never other bytes.

use sm_store::{Blobs, Error, blobs::MAX_BLOB_BYTES};

#[test]
fn bytes_come_back_by_their_digest_and_twice_is_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::beside(&dir.path().join("train.db"));
    assert_eq!(blobs.list().unwrap(), []);
    let digest = blobs.put(b"evidence").unwrap();
    assert_eq!(blobs.put(b"evidence").unwrap(), digest);
    assert_eq!(blobs.get(&digest).unwrap(), b"evidence");
    assert_eq!(blobs.list().unwrap(), [digest]);
    assert!(blobs.path(&digest).starts_with(dir.path().join("train.blobs")));
}

#[test]
fn a_changed_blob_is_refused_and_mended_by_storing_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::at(dir.path());
    let digest = blobs.put(b"evidence").unwrap();
    std::fs::write(blobs.path(&digest), "other words").unwrap();
    assert!(matches!(blobs.get(&digest).unwrap_err(), Error::BlobChanged { .. }));
    blobs.put(b"evidence").unwrap();
    assert_eq!(blobs.get(&digest).unwrap(), b"evidence");
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Blobs::at(dir.path().join("a")).put(b"x").unwrap();
    let error = Blobs::at(dir.path().join("b")).get(&digest).unwrap_err();
    assert!(matches!(error, Error::NoBlob { digest: d } if d == digest), "{error:?}");
}

#[test]
fn only_files_named_after_their_digest_are_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::at(dir.path());
    let digest = blobs.put(b"x").unwrap();
    let shelf = blobs.path(&digest).parent().unwrap().to_owned();
    std::fs::write(shelf.join(".partial-abc"), "cut").unwrap();
    std::fs::write(dir.path().join("README"), "hello").unwrap();
    std::fs::create_dir(dir.path().join("zz")).unwrap();
    std::fs::write(dir.path().join("zz").join(digest.to_string()), "on another shelf").unwrap();
    assert_eq!(blobs.list().unwrap(), [digest]);
}

#[test]
fn a_blob_that_is_too_long_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let endless = vec![0; usize::try_from(MAX_BLOB_BYTES).unwrap() + 1];
    let error = Blobs::at(dir.path()).put(&endless).unwrap_err();
    assert!(matches!(error, Error::BlobTooLong { .. }), "{error:?}");
    assert_eq!(Blobs::at(dir.path()).list().unwrap(), []);
}
