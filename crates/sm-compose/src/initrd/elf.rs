//! What an ELF file needs at run time: its libraries, where it looks for them, and symbol versions.

use object::{
    Endianness,
    elf::{self, FileHeader64},
    read::elf::{Dyn, ElfFile64, FileHeader},
};
use sm_model::Arch;

/// What one program or library asks of its surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The dynamic loader (`PT_INTERP`).
    pub(crate) interpreter: Option<String>,
    /// Libraries loaded at start (`DT_NEEDED`).
    pub(crate) libraries: Vec<String>,
    /// Libraries loaded when first used, any of each group (`.note.dlopen`, UAPI.3 "ELF package metadata: dlopen").
    pub(crate) on_demand: Vec<String>,
    /// Directories searched before the default ones (`DT_RUNPATH`, `DT_RPATH`).
    pub(crate) search: Vec<String>,
    /// Symbol versions asked of libraries: `(libc.so.6, GLIBC_2.38)`.
    pub(crate) versions: Vec<(String, String)>,
}

/// A file that starts like ELF and is damaged, or built for something else than 64-bit Linux.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file contradicts itself.
    #[error("it is no readable 64-bit ELF file")]
    Malformed(#[from] object::read::Error),
    /// A dlopen note is not what its specification says.
    #[error("its `.note.dlopen` is no JSON list of objects with `soname`")]
    Note(#[source] serde_json::Error),
}

type Header = FileHeader64<Endianness>;

/// Whether the bytes claim to be ELF.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// The architecture a file is built for, where it is one of ours.
pub(crate) fn machine(bytes: &[u8]) -> Result<Option<Arch>, ElfError> {
    let header = Header::parse(bytes)?;
    Ok(match header.e_machine(header.endian()?) {
        elf::EM_X86_64 => Some(Arch::Amd64),
        elf::EM_AARCH64 => Some(Arch::Arm64),
        _ => None,
    })
}

/// Reads what a file needs.
pub(crate) fn needs(bytes: &[u8]) -> Result<Needs, ElfError> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    for program_header in header.program_headers(endian, bytes)? {
        use object::read::elf::ProgramHeader;
        if let Some(interpreter) = program_header.interpreter(endian, bytes)? {
            needs.interpreter = Some(text(interpreter));
        }
    }
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    read_dynamic(bytes, header, endian, &mut needs)?;
    read_versions(bytes, header, endian, &mut needs)?;
    use object::{Object, ObjectSection};
    if let Some(section) = file.section_by_name(".note.dlopen") {
        needs.on_demand = dlopen_notes(section.data()?)?;
    }
    Ok(needs)
}

fn read_dynamic(
    bytes: &[u8],
    header: &Header,
    endian: Endianness,
    needs: &mut Needs,
) -> Result<(), ElfError> {
    let sections = header.sections(endian, bytes)?;
    let Some((dynamic, link)) = sections.dynamic(endian, bytes)? else { return Ok(()) };
    let strings = sections.strings(endian, bytes, link)?;
    for entry in dynamic {
        let tag = entry.tag(endian);
        if !matches!(tag, elf::DT_NEEDED | elf::DT_RUNPATH | elf::DT_RPATH) {
            continue;
        }
        let value = text(entry.string(endian, strings)?);
        if tag == elf::DT_NEEDED {
            needs.libraries.push(value);
        } else {
            needs.search.extend(value.split(':').map(str::to_owned));
        }
    }
    Ok(())
}

fn read_versions(
    bytes: &[u8],
    header: &Header,
    endian: Endianness,
    needs: &mut Needs,
) -> Result<(), ElfError> {
    let sections = header.sections(endian, bytes)?;
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, bytes)? else { return Ok(()) };
    let strings = sections.strings(endian, bytes, link)?;
    while let Some((library, mut versions)) = libraries.next()? {
        let file = text(library.file(endian, strings)?);
        while let Some(version) = versions.next()? {
            needs.versions.push((file.clone(), text(version.name(endian, strings)?)));
        }
    }
    Ok(())
}

/// Symbol versions that a library provides.
pub(crate) fn provided_versions(bytes: &[u8]) -> Result<Vec<String>, ElfError> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let Some((mut definitions, link)) = sections.gnu_verdef(endian, bytes)? else { return Ok(Vec::new()) };
    let strings = sections.strings(endian, bytes, link)?;
    let mut names = Vec::new();
    while let Some((_, mut parts)) = definitions.next()? {
        if let Some(part) = parts.next()? {
            names.push(text(part.name(endian, strings)?));
        }
    }
    Ok(names)
}

/// One entry of a dlopen note.
#[derive(serde::Deserialize)]
struct OnDemand {
    soname: Vec<String>,
}

/// Reads the notes: 4-byte sizes of name and description, a type, then both padded to 4 bytes (elf(5), "Notes").
fn dlopen_notes(mut section: &[u8]) -> Result<Vec<String>, ElfError> {
    const HEADER_LEN: usize = 12;
    let mut names = Vec::new();
    while section.len() >= HEADER_LEN {
        let word = |at: usize| {
            section[at..at + 4].iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let start = HEADER_LEN.saturating_add(word(0).next_multiple_of(4));
        let end = start.saturating_add(word(4));
        let Some(description) = section.get(start..end) else { break };
        let json = description.split(|byte| *byte == 0).next().unwrap_or_default();
        let entries: Vec<OnDemand> = serde_json::from_slice(json).map_err(ElfError::Note)?;
        names.extend(entries.into_iter().flat_map(|entry| entry.soname));
        section = section.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(names)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(json: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend((json.len() as u32 + 1).to_le_bytes());
        bytes.extend(0x407c_0c0a_u32.to_le_bytes());
        bytes.extend(b"FDO\0");
        bytes.extend(json.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn dlopen_notes_name_their_libraries() {
        let first =
            note(r#"[{"feature":"x","soname":["libkmod.so.2"]},{"soname":["liba.so.1","libb.so.1"]}]"#);
        let both = [first, note(r#"[{"soname":["libc.so.9"]}]"#)].concat();
        assert_eq!(dlopen_notes(&both).unwrap(), ["libkmod.so.2", "liba.so.1", "libb.so.1", "libc.so.9"]);
    }

    #[test]
    fn damaged_notes_end_without_reading_beyond_them() {
        let whole = note(r#"[{"soname":["libkmod.so.2"]}]"#);
        for len in 0..whole.len() - 4 {
            let _ = dlopen_notes(&whole[..len]);
        }
        let huge = [&u32::MAX.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &[0; 4]].concat();
        assert_eq!(dlopen_notes(&huge).unwrap(), [""; 0]);
        assert!(matches!(dlopen_notes(&note("{}")), Err(ElfError::Note(_))));
    }

    #[test]
    fn this_very_program_needs_a_loader_and_a_c_library() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&bytes).unwrap();
        assert!(needs.interpreter.unwrap().contains("/ld-"));
        assert!(needs.libraries.iter().any(|library| library.starts_with("libc.")));
        assert!(needs.versions.iter().any(|(_, version)| version.starts_with("GLIBC_")));
    }

    #[test]
    fn cut_programs_are_refused_without_a_panic() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needs(&bytes[..100]).is_err());
        for len in [0, 4, 63, 64, 1000, bytes.len() / 2] {
            let _ = needs(&bytes[..len]);
        }
    }
}
