//! Changes of a finished release that no recipe expresses: bytes of its artifacts, entries of its partition table, its manifest.
//! What is asked for and cannot be done is an error: a breakage that breaks nothing would prove nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use super::gpt;

const MANIFEST: &str = "manifest.json";
const BUFFER_BYTES: usize = 1 << 20;

/// One change of one file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Edit {
    /// Kind of the artifact as the manifest names it, or `manifest`. What is compressed is changed inside.
    artifact: String,
    /// What is done to it.
    change: Change,
    /// Whether the manifest names the file as it is afterwards.
    #[serde(default = "yes")]
    is_sealed: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Change {
    /// The file goes.
    Remove,
    /// The file ends after so many bytes.
    Cut { bytes: u64 },
    /// Bits of one byte turn over; the offset counts from the start of a partition where one is named.
    Flip { at: u64, partition: Option<u32> },
    /// A text, which must be there, becomes another wherever it stands.
    Replace { old: String, new: String },
    /// Bytes that follow a text, which must be there, are written over wherever it stands.
    OverwriteAfter { text: String, new: String },
    /// An entry of the partition table says something else, and every checksum is right.
    Partition(gpt::Change),
}

/// Makes these changes in a release's folder, those of one file in their order.
pub(super) fn apply(release: &Path, edits: &[&Edit]) -> Result<()> {
    let mut by_artifact: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
    for edit in edits {
        by_artifact.entry(&edit.artifact).or_default().push(edit);
    }
    // The manifest last: what is changed in it is not sealed over.
    let (manifest, others): (Vec<_>, Vec<_>) =
        by_artifact.into_iter().partition(|(artifact, _)| *artifact == "manifest");
    others.into_iter().chain(manifest).try_for_each(|(artifact, edits)| {
        change(release, artifact, &edits).with_context(|| format!("cannot change `{artifact}`"))
    })
}

fn change(release: &Path, artifact: &str, edits: &[&Edit]) -> Result<()> {
    let path = place_of(release, artifact)?;
    if edits.iter().any(|edit| matches!(edit.change, Change::Remove)) {
        return Ok(fs::remove_file(&path)?);
    }
    let work = path.with_extension("changing");
    let is_packed = path.extension().is_some_and(|ending| ending == "zst");
    if is_packed {
        unpack(&path, &work)?
    } else {
        copy(&path, &work)?
    }
    edits.iter().try_for_each(|edit| edit.change.make(&work))?;
    // The file may be a link to the sound release's: it is replaced, never written to.
    fs::remove_file(&path)?;
    if is_packed {
        pack(&work, &path)?
    } else {
        copy(&work, &path)?
    }
    fs::remove_file(&work)?;
    let is_sealed = artifact != "manifest" && edits.iter().all(|edit| edit.is_sealed);
    if is_sealed { seal(release, artifact, &path) } else { Ok(()) }
}

impl Change {
    fn make(&self, path: &Path) -> Result<()> {
        match self {
            Change::Remove => Ok(()),
            Change::Cut { bytes } => {
                let file = OpenOptions::new().write(true).open(path)?;
                ensure!(file.metadata()?.len() > *bytes, "it has no more than {bytes} bytes");
                Ok(file.set_len(*bytes)?)
            }
            Change::Flip { at, partition } => flip(path, *at, *partition),
            Change::Replace { old, new } => rewrite(path, old, |bytes, found| {
                bytes.splice(found..found + old.len(), new.bytes());
            }),
            Change::OverwriteAfter { text, new } => rewrite(path, text, |bytes, found| {
                let start = found + text.len();
                let end = bytes.len().min(start + new.len());
                bytes[start..end].copy_from_slice(&new.as_bytes()[..end - start]);
            }),
            Change::Partition(change) => gpt::change(&mut writable(path)?, change),
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut File::create(to)?).map(|_| ())
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn flip(path: &Path, at: u64, partition: Option<u32>) -> Result<()> {
    let mut file = writable(path)?;
    let start = partition.map_or(Ok(0), |number| gpt::start_of(&mut file, number))?;
    let at = start + at;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file.write_all(&[!byte[0]])?)
}

/// Changes each place, from the last to the first, where a text stands.
fn rewrite(path: &Path, text: &str, change: impl Fn(&mut Vec<u8>, usize)) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let is_here = |window: &[u8]| window == text.as_bytes();
    let found: Vec<usize> = (0..(bytes.len() + 1).saturating_sub(text.len()))
        .filter(|&at| is_here(&bytes[at..at + text.len()]))
        .collect();
    ensure!(!found.is_empty(), "`{text}` is not in it");
    found.into_iter().rev().for_each(|at| change(&mut bytes, at));
    Ok(fs::write(path, bytes)?)
}

/// Unpacks a zstd file; blocks of zeros stay holes.
fn unpack(from: &Path, to: &Path) -> Result<()> {
    let mut decoder = zstd::Decoder::new(File::open(from)?)?;
    let mut output = File::create(to)?;
    let (mut buffer, mut n_bytes) = (vec![0; BUFFER_BYTES], 0);
    loop {
        let n_read = decoder.read(&mut buffer)?;
        if n_read == 0 {
            break Ok(output.set_len(n_bytes)?);
        }
        n_bytes += n_read as u64;
        if buffer[..n_read].iter().all(|&byte| byte == 0) {
            output.seek(SeekFrom::Start(n_bytes))?;
        } else {
            output.write_all(&buffer[..n_read])?;
        }
    }
}

fn pack(from: &Path, to: &Path) -> Result<()> {
    let mut encoder = zstd::Encoder::new(File::create(to)?, 1)?;
    io::copy(&mut File::open(from)?, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

fn place_of(release: &Path, artifact: &str) -> Result<PathBuf> {
    if artifact == "manifest" {
        return Ok(release.join(MANIFEST));
    }
    let mut manifest = manifest(release)?;
    Ok(release.join(entry(&mut manifest, artifact)?["name"].as_str().context("it has no name")?))
}

fn manifest(release: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(release.join(MANIFEST))?)?)
}

fn entry<'a>(manifest: &'a mut Value, kind: &str) -> Result<&'a mut Value> {
    let entries = manifest["artifacts"].as_array_mut().context("the manifest names no artifacts")?;
    entries.iter_mut().find(|entry| entry["kind"] == kind).with_context(|| format!("`{kind}` is no artifact"))
}

/// Lets the manifest name a file as it is.
fn seal(release: &Path, kind: &str, path: &Path) -> Result<()> {
    let mut manifest = manifest(release)?;
    let entry = entry(&mut manifest, kind)?;
    let (mut sha256, mut sha512) = (Sha256::new(), Sha512::new());
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size_bytes = 0;
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            break;
        }
        size_bytes += n_read as u64;
        sha256.update(&buffer[..n_read]);
        sha512.update(&buffer[..n_read]);
    }
    entry["size_bytes"] = size_bytes.into();
    entry["sha256"] = hex(&sha256.finalize()).into();
    entry["sha512"] = hex(&sha512.finalize()).into();
    let path = release.join(MANIFEST);
    fs::remove_file(&path)?;
    Ok(fs::write(path, serde_json::to_vec_pretty(&manifest)?)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a folder's files into another one without copying: they are links, to be replaced and never written to.
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_file() {
            fs::hard_link(entry.path(), &target)
                .with_context(|| format!("cannot link `{}`", target.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(content: &[u8]) -> (PathBuf, PathBuf) {
        let folder = crate::cargo::target_dir().unwrap().join(format!(
            "sabotage-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.txt"), content).unwrap();
        let manifest = r#"{"artifacts": [{"kind": "sbom", "name": "a.txt", "size_bytes": 0}]}"#;
        fs::write(folder.join(MANIFEST), manifest).unwrap();
        let file = folder.join("a.txt");
        (folder, file)
    }

    fn edit(text: &str) -> Edit {
        toml::from_str(&format!("artifact = 'sbom'\n{text}")).unwrap()
    }

    #[test]
    fn a_change_is_made_and_the_manifest_names_what_it_made() {
        let (folder, file) = release(b"one two one");
        apply(&folder, &[&edit("change.replace = { old = 'one', new = 'three' }")]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"three two three");
        assert_eq!(manifest(&folder).unwrap()["artifacts"][0]["size_bytes"], 15);
        let after = edit("change.overwrite-after = { text = 'two ', new = 'xx' }\nis-sealed = false");
        let cut = edit("change.cut = { bytes = 12 }\nis-sealed = false");
        let flip = edit("change.flip = { at = 0 }\nis-sealed = false");
        apply(&folder, &[&after, &cut, &flip]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"\x8bhree two xx");
        assert_eq!(manifest(&folder).unwrap()["artifacts"][0]["size_bytes"], 15);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_change_that_would_change_nothing_is_an_error() {
        let (folder, _) = release(b"one");
        for text in [
            "change.replace = { old = 'two', new = '' }",
            "change.cut = { bytes = 3 }",
            "change.flip = { at = 9 }",
        ] {
            assert!(apply(&folder, &[&edit(text)]).is_err(), "{text}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_packed_is_the_same_after_unpacking() {
        let (folder, file) = release(&[&[0; 3 << 20][..], b"end", &[0; 1 << 20]].concat());
        let (packed, unpacked) = (folder.join("p"), folder.join("u"));
        pack(&file, &packed).unwrap();
        unpack(&packed, &unpacked).unwrap();
        assert!(fs::read(&unpacked).unwrap() == fs::read(&file).unwrap());
        fs::remove_dir_all(folder).unwrap();
    }
}
