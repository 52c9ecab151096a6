//! Small releases with everything a real one has: a /usr image, a kernel image that names its root hash, a signed payload.

use std::{io::Cursor, sync::LazyLock};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::Digest;
use sm_image::{
    payload::write::{Compression, Source, write},
    uki,
    verity::{self, RootHash, Superblock},
};
use sm_model::{Sha256, Version};
use sm_rollout::omaha::{OfferedPackage, OfferedRelease};
use sm_trust::PrivateKey;

/// Size of every /usr image here: several operations of a payload.
pub(crate) const USR_BYTES: usize = (2 << 20) + (256 << 10);

/// A pair of keys: the one whose public half is in the image, and somebody else's.
pub(crate) static KEYS: LazyLock<[PrivateKey; 2]> = LazyLock::new(|| {
    let mut random = ChaCha20Rng::from_seed([1; 32]);
    [(); 2].map(|()| PrivateKey::generate(&mut random).unwrap())
});

/// One release.
pub(crate) struct Release {
    pub(crate) version: Version,
    pub(crate) usr: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(crate) root: RootHash,
    pub(crate) kernel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// What may be wrong with a release.
#[derive(Clone)]
pub(crate) struct Design {
    pub(crate) version: &'static str,
    pub(crate) usr_bytes: usize,
    /// What the kernel image says about itself, where it lies.
    pub(crate) kernel_version: Option<&'static str>,
    pub(crate) kernel_os: &'static str,
    pub(crate) kernel_machine: u16,
    pub(crate) kernel_root: Option<RootHash>,
    pub(crate) has_kernel: bool,
    pub(crate) signer: usize,
}

impl Design {
    pub(crate) const AMD64: u16 = 0x8664;
    pub(crate) const ARM64: u16 = 0xaa64;

    pub(crate) fn sound(version: &'static str) -> Self {
        Design {
            version,
            usr_bytes: USR_BYTES,
            kernel_version: None,
            kernel_os: "boxcar",
            kernel_machine: Design::AMD64,
            kernel_root: None,
            has_kernel: true,
            signer: 0,
        }
    }

    pub(crate) fn build(&self) -> Release {
        let usr = noise(self.version, self.usr_bytes);
        let (tree, root) = tree_of(&usr);
        let kernel = self.kernel(self.kernel_root.unwrap_or(root));
        let payload = self.payload(&usr, &kernel);
        Release { version: self.version.parse().unwrap(), usr, tree, root, kernel, payload }
    }

    fn kernel(&self, root: RootHash) -> Vec<u8> {
        let stub = pe(self.kernel_machine, &[(b".text\0\0\0", &[0x90; 700]), (b".sbat\0\0\0", SBAT)]);
        let linux = pe(self.kernel_machine, &[(b".text\0\0\0", &noise("kernel", 40_000))]);
        let version = self.kernel_version.unwrap_or(self.version);
        let parts = uki::Parts {
            stub: &stub,
            linux: &linux,
            initrd: b"initrd",
            cmdline: &format!("usrhash={root} rw"),
            os_release: &format!("ID={}\nVERSION_ID={version}\n", self.kernel_os),
            uname: "6.12.0",
        };
        let mut kernel = Vec::new();
        uki::build(&parts, &mut kernel).unwrap();
        kernel
    }

    fn payload(&self, usr: &[u8], kernel: &[u8]) -> Vec<u8> {
        let mut random = ChaCha20Rng::from_seed([2; 32]);
        let mut signer = |digest: &Sha256| KEYS[self.signer].sign(digest, &mut random);
        let (mut usr_reader, mut kernel_reader) = (usr, kernel);
        let mut payload = Vec::new();
        write(
            Source { reader: &mut usr_reader, size_bytes: usr.len() as u64 },
            self.has_kernel.then_some(Source { reader: &mut kernel_reader, size_bytes: kernel.len() as u64 }),
            Compression::Auto,
            &mut [&mut signer],
            &mut Cursor::new(Vec::new()),
            &mut payload,
        )
        .unwrap();
        payload
    }
}

impl Release {
    pub(crate) fn sound(version: &'static str) -> Self {
        Design::sound(version).build()
    }

    /// The offer of `payload`, which may not be the one that was built.
    pub(crate) fn offer_of(&self, payload: &[u8]) -> OfferedRelease {
        OfferedRelease {
            version: self.version,
            urls: vec!["http://server/alpha/amd64-usr/".parse().unwrap()],
            payload: OfferedPackage {
                name: "boxcar_production_update.gz".parse().unwrap(),
                size_bytes: payload.len() as u64,
                sha256: Sha256(sha2::Sha256::digest(payload).into()),
            },
            extras: Vec::new(),
        }
    }
}

pub(crate) fn tree_of(usr: &[u8]) -> (Vec<u8>, RootHash) {
    let digest = Sha256(sha2::Sha256::digest(usr).into());
    let superblock = Superblock::of_image(usr.len() as u64, &digest).unwrap();
    let mut tree = Cursor::new(Vec::new());
    let root = verity::format(&mut &usr[..], &superblock, &mut tree).unwrap();
    (tree.into_inner(), root)
}

/// Bytes that look random, are not, and differ with `seed`.
fn noise(seed: &str, n_bytes: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|i| sha2::Sha256::digest(format!("{seed} {i}")));
    blocks.take(n_bytes).collect()
}

const SBAT: &[u8] = b"sbat,1,SBAT Version,sbat,1,https://example.org\nstub,1,x\n\0";

/// The smallest PE file that a kernel image can be built from.
fn pe(machine: u16, sections: &[(&[u8; 8], &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68, &machine.to_le_bytes());
    put(70, &(sections.len() as u16).to_le_bytes());
    put(84, &152_u16.to_le_bytes());
    put(88, &0x20b_u16.to_le_bytes());
    put(88 + 32, &4096_u32.to_le_bytes());
    put(88 + 36, &512_u32.to_le_bytes());
    put(88 + 60, &512_u32.to_le_bytes());
    let (mut address, mut headers, mut bodies) = (4096_u32, Vec::new(), Vec::new());
    for (name, content) in sections {
        let (len, raw_at) = (content.len() as u32, 512 + bodies.len() as u32);
        headers.extend_from_slice(*name);
        for word in [len, address, len.next_multiple_of(512), raw_at, 0, 0, 0, 0] {
            headers.extend_from_slice(&word.to_le_bytes());
        }
        bodies.extend_from_slice(content);
        bodies.resize(bodies.len().next_multiple_of(512), 0);
        address += len.next_multiple_of(4096);
    }
    put(88 + 56, &address.to_le_bytes());
    put(240, &headers);
    file.extend_from_slice(&bodies);
    file
}
