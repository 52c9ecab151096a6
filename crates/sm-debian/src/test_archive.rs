//! A small signed archive for tests: keys, packages, indexes and releases as real archives write them. Never part of a
//! shipped program: it exists only with the feature `test-support`.

use std::{collections::BTreeMap, fmt::Write as _};

use pgp::{
    composed::{ArmorOptions, CleartextSignedMessage, KeyType, SignedKeyDetails, SignedPublicKey},
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, PacketTrait, PubKeyInner, PublicKey, SecretKey, SignatureConfig, SignatureType, Subpacket,
        SubpacketData, UserId,
    },
    ser::Serialize,
    types::{Duration, KeyDetails, KeyVersion, PacketHeaderVersion, Password},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use sha2::Digest as _;
use sm_model::{Arch, Sha256, Timestamp};

/// An OpenPGP key that signs test releases.
#[derive(Debug)]
pub struct TestKey {
    secret: SecretKey,
    certificate: SignedPublicKey,
}

/// What a test key says about itself.
#[derive(Debug, Clone, Copy)]
pub struct KeyTraits {
    /// When it was made.
    pub created: Timestamp,
    /// How long it is valid.
    pub lifetime_secs: Option<u32>,
    /// Whether it may sign.
    pub may_sign: bool,
    /// Whether its owner has revoked it.
    pub revoked: bool,
}

impl KeyTraits {
    /// A key that may sign for ever.
    pub fn made(created: Timestamp) -> Self {
        KeyTraits { created, lifetime_secs: None, may_sign: true, revoked: false }
    }
}

/// How a test release is signed.
#[derive(Debug, Clone, Copy)]
pub struct SignatureTraits {
    /// When it was made.
    pub made: Timestamp,
    /// How long it is valid.
    pub lifetime_secs: Option<u32>,
}

impl SignatureTraits {
    /// A signature that does not end.
    pub fn made(made: Timestamp) -> Self {
        SignatureTraits { made, lifetime_secs: None }
    }
}

type Pgp<T> = pgp::errors::Result<T>;

fn pgp_time(at: Timestamp) -> pgp::types::Timestamp {
    pgp::types::Timestamp::from_secs(u32::try_from(at.unix_secs()).unwrap_or(0))
}

impl TestKey {
    /// A key that belongs to `user`; the same arguments always make the same key.
    ///
    /// # Errors
    /// When OpenPGP cannot hold the traits.
    pub fn new(user: &str, traits: KeyTraits) -> Pgp<Self> {
        let seed = sha2::Sha256::digest(user).into();
        let (public, secret) = KeyType::Ed25519Legacy.generate(ChaCha8Rng::from_seed(seed))?;
        let created = pgp_time(traits.created);
        let inner = PubKeyInner::new(KeyVersion::V4, KeyType::Ed25519Legacy.to_alg(), created, None, public)?;
        let public = PublicKey::from_inner(inner)?;
        let secret = SecretKey::new(public.clone(), secret)?;
        let id = UserId::from_str(PacketHeaderVersion::New, user)?;
        let own = certification(&secret, traits)?.sign_certification(
            &secret,
            &public,
            &Password::empty(),
            id.tag(),
            &id,
        )?;
        let revocations = traits.revoked.then(|| revocation(&secret, &public, traits)).transpose()?;
        let details = SignedKeyDetails::new(
            revocations.into_iter().collect(),
            Vec::new(),
            vec![id.into_signed(own)],
            Vec::new(),
        );
        Ok(TestKey { secret, certificate: SignedPublicKey::new(public, details, Vec::new()) })
    }

    /// The public key, as a keyring holds it.
    ///
    /// # Errors
    /// When OpenPGP cannot write it.
    pub fn certificate(&self) -> Pgp<Vec<u8>> {
        self.certificate.to_bytes()
    }

    fn signature(&self, text: &str, traits: SignatureTraits) -> Pgp<pgp::packet::Signature> {
        let mut config =
            SignatureConfig::v4(SignatureType::Text, self.secret.algorithm(), HashAlgorithm::Sha512);
        let made = SubpacketData::SignatureCreationTime(pgp_time(traits.made));
        config.hashed_subpackets = vec![
            Subpacket::regular(made)?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(self.secret.fingerprint()))?,
        ];
        if let Some(lifetime_secs) = traits.lifetime_secs {
            let lifetime = SubpacketData::SignatureExpirationTime(Duration::from_secs(lifetime_secs));
            config.hashed_subpackets.push(Subpacket::regular(lifetime)?);
        }
        config.sign(&self.secret, &Password::empty(), text.as_bytes())
    }
}

fn certification(secret: &SecretKey, traits: KeyTraits) -> Pgp<SignatureConfig> {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(traits.may_sign);
    let mut config =
        SignatureConfig::v4(SignatureType::CertPositive, secret.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(pgp_time(traits.created)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(secret.fingerprint()))?,
        Subpacket::regular(SubpacketData::KeyFlags(flags))?,
    ];
    if let Some(lifetime_secs) = traits.lifetime_secs {
        let lifetime = SubpacketData::KeyExpirationTime(Duration::from_secs(lifetime_secs));
        config.hashed_subpackets.push(Subpacket::regular(lifetime)?);
    }
    Ok(config)
}

fn revocation(secret: &SecretKey, public: &PublicKey, traits: KeyTraits) -> Pgp<pgp::packet::Signature> {
    let mut config =
        SignatureConfig::v4(SignatureType::KeyRevocation, secret.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(pgp_time(traits.created)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(secret.fingerprint()))?,
    ];
    config.sign_key(secret, &Password::empty(), public)
}

/// A text signed in the clear by all of `keys`.
///
/// # Errors
/// When OpenPGP cannot write it.
pub fn sign(text: &str, keys: &[&TestKey], traits: SignatureTraits) -> Pgp<String> {
    let signer = |text: &str| keys.iter().map(|key| key.signature(text, traits)).collect();
    CleartextSignedMessage::new_many(text, signer)?.to_armored_string(ArmorOptions::default())
}

/// One package of a test suite.
#[derive(Debug, Clone)]
pub struct TestPackage {
    /// Its stanza without what [`TestSuite`] adds: `Filename`, `Size`, `SHA256`.
    pub stanza: String,
    /// Path of its file below the mirror.
    pub path: String,
    /// Its file.
    pub file: Vec<u8>,
}

impl TestPackage {
    /// A package from one line: `NAME VERSION`, then `; Field: value` as often as wanted.
    pub fn new(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().and_then(|head| head.split_once(' ')).unwrap_or((line, "1"));
        let mut stanza = format!("Package: {name}\nVersion: {version}\n");
        for field in parts {
            let _ = writeln!(stanza, "{field}");
        }
        if !stanza.contains("Architecture:") {
            stanza.push_str("Architecture: amd64\n");
        }
        let path = format!("pool/main/{name}_{}.deb", version.replace(':', "-"));
        TestPackage { stanza, path, file: format!("the file of {name} {version}").into_bytes() }
    }

    /// Its whole stanza.
    pub fn full_stanza(&self) -> String {
        let digest = Sha256(sha2::Sha256::digest(&self.file).into());
        format!("{}Filename: {}\nSize: {}\nSHA256: {digest}\n", self.stanza, self.path, self.file.len())
    }
}

/// A way to store an index: the suffix of its name, and the compressor.
pub type IndexForm = (&'static str, fn(&[u8]) -> Vec<u8>);

/// One suite with one component, `main`.
#[derive(Debug, Clone)]
pub struct TestSuite {
    /// `Codename:`
    pub codename: String,
    /// `Date:`
    pub date: Timestamp,
    /// `Valid-Until:`
    pub valid_until: Option<Timestamp>,
    /// Whether indexes lie under their digest too.
    pub by_hash: bool,
    /// Its packages.
    pub packages: Vec<TestPackage>,
    /// Compressed forms of the index beside the plain one.
    pub forms: Vec<IndexForm>,
}

impl TestSuite {
    /// A suite of packages given as lines (see [`TestPackage::new`]).
    pub fn new(codename: &str, date: Timestamp, packages: &[&str]) -> Self {
        TestSuite {
            codename: codename.to_owned(),
            date,
            valid_until: None,
            by_hash: true,
            packages: packages.iter().map(|line| TestPackage::new(line)).collect(),
            forms: Vec::new(),
        }
    }

    /// Its package index, unpacked.
    pub fn index(&self) -> String {
        self.packages.iter().map(TestPackage::full_stanza).collect::<Vec<_>>().join("\n")
    }

    /// Its release text, unsigned.
    pub fn release(&self, arch: Arch) -> String {
        let mut text = format!(
            "Suite: {0}\nCodename: {0}\nVersion: 1.0\nDate: {1}\n",
            self.codename,
            archive_date(self.date)
        );
        if let Some(valid_until) = self.valid_until {
            let _ = writeln!(text, "Valid-Until: {}", archive_date(valid_until));
        }
        let by_hash = if self.by_hash { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "Acquire-By-Hash: {by_hash}\nArchitectures: all {arch}\nComponents: main\nSHA256:"
        );
        for (suffix, bytes) in self.indexes() {
            let digest = Sha256(sha2::Sha256::digest(&bytes).into());
            let _ = writeln!(text, " {digest} {} main/binary-{arch}/Packages{suffix}", bytes.len());
        }
        text
    }

    /// Every file of the suite by its path below the mirror; `inrelease` is the signed release.
    pub fn files(&self, arch: Arch, inrelease: &str) -> BTreeMap<String, Vec<u8>> {
        let dists = format!("dists/{}", self.codename);
        let mut files = BTreeMap::from([(format!("{dists}/InRelease"), inrelease.as_bytes().to_vec())]);
        for (suffix, bytes) in self.indexes() {
            let directory = format!("{dists}/main/binary-{arch}");
            if self.by_hash {
                let digest = Sha256(sha2::Sha256::digest(&bytes).into());
                files.insert(format!("{directory}/by-hash/SHA256/{digest}"), bytes.clone());
            }
            files.insert(format!("{directory}/Packages{suffix}"), bytes);
        }
        files.extend(self.packages.iter().map(|package| (package.path.clone(), package.file.clone())));
        files
    }

    fn indexes(&self) -> Vec<(&'static str, Vec<u8>)> {
        let plain = self.index().into_bytes();
        let packed = self.forms.iter().map(|(suffix, pack)| (*suffix, pack(&plain))).collect::<Vec<_>>();
        std::iter::once(("", plain.clone())).chain(packed).collect()
    }
}

/// `2026-09-12T07:55:41Z` as archives write it. The weekday is not checked by anybody.
fn archive_date(at: Timestamp) -> String {
    let text = at.to_string();
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap_or_default();
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return text.clone() };
    let month = month
        .parse()
        .ok()
        .and_then(|month: usize| crate::release::MONTHS.get(month.checked_sub(1)?))
        .unwrap_or(&"?");
    format!("Sat, {day} {month} {year} {time} UTC")
}
