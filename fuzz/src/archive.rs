//! Seeds for what comes out of a Debian archive, and a key to sign suites with.

use std::{io::Write, sync::LazyLock};

use pgp::{
    composed::{ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey},
    ser::Serialize,
    types::Password,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const RELEASE: &str = "Origin: Debian
Suite: stable
Codename: trixie
Version: 13.2
Date: Sat, 15 Nov 2025 10:09:21 UTC
Valid-Until: Sat, 22 Nov 2035 10:09:21 UTC
Acquire-By-Hash: yes
Architectures: all amd64 arm64
Components: main
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 46 main/binary-amd64/Packages
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 10 main/binary-amd64/Packages.xz
";

const PACKAGES: &str = "Package: libc6
Source: glibc (2.41-12)
Version: 2.41-12+b1
Architecture: amd64
Multi-Arch: same
Depends: libgcc-s1 (>= 4.2) | libgcc1, tzdata [amd64]
Breaks: busybox (<< 1.30.1-6)
Provides: libc6-amd64 (= 2.41-12)
Filename: pool/main/g/glibc/libc6_2.41-12_amd64.deb
Size: 2846508
SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

Package: tzdata
Version: 2025b-4
Architecture: all
Filename: pool/main/t/tzdata/tzdata_2025b-4_all.deb
Size: 260196
SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
";

const CHANGELOG: &str = "openssl (3.5.1-1+deb13u1) trixie-security; urgency=medium

  * CVE-2025-9230: out-of-bounds read and write in RFC 3211 KEK unwrap.

 -- A Maintainer <a@example.org>  Tue, 30 Sep 2025 10:00:00 +0200
";

const SOURCES: &str = "Types: deb
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
";

const RECIPE: &str = include_str!("../../os/boxcar/recipe.toml");

/// The key that signs the suites of these tests.
static KEY: LazyLock<SignedSecretKey> = LazyLock::new(|| {
    let mut params = SecretKeyParamsBuilder::default();
    params.key_type(KeyType::Ed25519Legacy).can_sign(true).primary_user_id("Archive <a@example.org>".into());
    let key = params.build().expect("complete parameters").generate(ChaCha8Rng::seed_from_u64(1));
    key.expect("an Ed25519 key")
});

/// A keyring that holds the public half of the key.
pub fn keyring() -> Vec<u8> {
    KEY.to_public_key().to_bytes().expect("a key that was just made")
}

/// A signed suite.
pub fn inrelease() -> Vec<u8> {
    let signed = CleartextSignedMessage::sign(
        ChaCha8Rng::seed_from_u64(2),
        RELEASE,
        &KEY.primary_key,
        &Password::empty(),
    );
    let armored = signed.and_then(|message| message.to_armored_bytes(ArmorOptions::default()));
    armored.expect("a key that may sign")
}

pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("apt_sources", "deb822", text(SOURCES)),
        ("apt_sources", "list", text("deb [arch=amd64] http://mirror.example/debian trixie main\n")),
        ("changelog", "security", text(CHANGELOG)),
        ("deb", "package", deb()),
        ("inrelease", "signed", inrelease()),
        ("packages", "two", text(PACKAGES)),
        ("recipe", "boxcar", text(RECIPE)),
        ("relation", "all", text("a (>= 1.0-1) | b:any (<< 2~), c [!arm64], d <!nocheck>")),
        ("release", "trixie", text(RELEASE)),
        ("version", "three", text("1:2.41-12+b1 2.41-12 2.41~rc1-1")),
    ]
}

/// The smallest package: one file in an uncompressed tree.
fn deb() -> Vec<u8> {
    let mut tree = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    tree.append_data(&mut header, "./usr/bin/x", &b"abc"[..]).expect("memory does not fail");
    let tree = tree.into_inner().expect("memory does not fail");
    let mut deb = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", b""), ("data.tar", &tree)] {
        let size = content.len();
        write!(deb, "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644")
            .expect("memory does not fail");
        deb.extend_from_slice(content);
        deb.resize(deb.len().next_multiple_of(2), b'\n');
    }
    deb
}
