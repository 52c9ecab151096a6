//! What an ELF file asks of its surroundings at start: loader, libraries, and where it looks for them.

use object::{
    Endianness,
    elf::{self, FileHeader64},
    read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _},
};

/// What one program or library needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The dynamic loader (`PT_INTERP`).
    pub(super) interpreter: Option<String>,
    /// Libraries loaded at start (`DT_NEEDED`).
    pub(super) libraries: Vec<String>,
    /// Directories searched first (`DT_RUNPATH`, `DT_RPATH`); `$ORIGIN` stands for the file's own.
    pub(super) search: Vec<String>,
    /// The processor it is for (`e_machine`).
    pub(super) machine: u16,
}

/// Whether the bytes claim to be ELF.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// Reads what a file needs; [`None`] for object files and kernel modules, which nobody starts.
///
/// # Errors
/// When it is damaged, or no 64-bit file.
pub(super) fn needs(bytes: &[u8]) -> Result<Option<Needs>, object::read::Error> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    if header.e_type(endian) == elf::ET_REL {
        return Ok(None);
    }
    let mut needs = Needs { machine: header.e_machine(endian).0, ..Needs::default() };
    for program_header in header.program_headers(endian, bytes)? {
        if let Some(interpreter) = program_header.interpreter(endian, bytes)? {
            needs.interpreter = Some(text(interpreter));
        }
    }
    let sections = header.sections(endian, bytes)?;
    let Some((dynamic, link)) = sections.dynamic(endian, bytes)? else { return Ok(Some(needs)) };
    let strings = sections.strings(endian, bytes, link)?;
    for entry in dynamic {
        let tag = entry.tag(endian);
        if tag == elf::DT_NEEDED {
            needs.libraries.push(text(entry.string(endian, strings)?));
        } else if tag == elf::DT_RUNPATH || tag == elf::DT_RPATH {
            needs.search.extend(text(entry.string(endian, strings)?).split(':').map(str::to_owned));
        }
    }
    Ok(Some(needs))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&program).unwrap().unwrap();
        assert!(needs.libraries.iter().any(|library| library == "libc.so.6"), "{needs:?}");
        assert!(needs.interpreter.is_some());
    }

    #[test]
    fn damaged_files_are_errors() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for n_bytes in [4, 63, 100, 1000] {
            assert!(needs(&program[..n_bytes]).is_err(), "{n_bytes}");
        }
    }
}
