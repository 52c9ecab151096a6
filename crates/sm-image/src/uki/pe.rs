//! The headers of a PE32+ file (Microsoft, "PE Format"): just what adding and finding sections needs.

use std::io::{self, Read, Seek, SeekFrom};

use sm_model::Arch;

use crate::bytes::{array, put, u16_le, u32_le, u64_le};

/// Against header sizes that exhaust memory; real ones are 4 KiB at most.
const MAX_HEADERS_BYTES: u32 = 64 << 10;
/// Most sections that loaders accept.
const MAX_SECTIONS: u16 = 96;

const DOS_HEADER_LEN: u64 = 64;
const PE_OFFSET_AT: usize = 60;
const COFF_LEN: usize = 20;
const SECTION_LEN: usize = 40;
const PE32_PLUS: u16 = 0x20b;
/// Up to and including the data directory that points to signatures.
const OPTIONAL_HEADER_MIN: u16 = 152;

/// What makes a file no usable PE file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not PE at all.
    #[error("no MZ and PE signatures")]
    Signature,
    /// The file ends inside its headers or a section.
    #[error("it ends inside its headers")]
    Truncated,
    /// A machine that we do not compose for.
    #[error("machine type {0:#06x}: expected 0x8664 or 0xaa64")]
    Machine(u16),
    /// 32-bit, or an optional header without the fields needed.
    #[error("optional header of {len} bytes with magic {magic:#x}: expected PE32+")]
    OptionalHeader {
        /// Its size.
        len: u16,
        /// Its magic number.
        magic: u16,
    },
    /// Alignments that are no powers of two in the usual range.
    #[error(
        "sections aligned to {section} in memory and {file} in the file: expected powers of two up to 64 KiB"
    )]
    Alignment {
        /// In memory.
        section: u32,
        /// In the file.
        file: u32,
    },
    /// Too many sections or too large headers.
    #[error(
        "{n_sections} sections and {headers_bytes} bytes of headers: expected at most {MAX_SECTIONS} and {MAX_HEADERS_BYTES}"
    )]
    TooLarge {
        /// Number of sections.
        n_sections: u16,
        /// Size of the headers.
        headers_bytes: u32,
    },
    /// A section that leaves the file or the address space.
    #[error("section `{0}` lies outside the file or the address space")]
    Section(String),
}

/// The headers of a PE file, kept as bytes so that fields we know nothing of survive.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    bytes: Vec<u8>,
    coff: usize,
    pub(super) arch: Arch,
    pub(super) sections: Vec<SectionHeader>,
}

/// One entry of the section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SectionHeader {
    pub(super) name: [u8; 8],
    pub(super) virtual_bytes: u32,
    pub(super) address: u32,
    pub(super) raw_bytes: u32,
    pub(super) raw_offset: u32,
    pub(super) characteristics: u32,
}

impl SectionHeader {
    pub(super) fn name(&self) -> String {
        let used = self.name.iter().take_while(|&&byte| byte != 0).copied().collect::<Vec<_>>();
        used.escape_ascii().to_string()
    }

    /// End of the section in memory.
    pub(super) fn address_end(&self) -> u64 {
        u64::from(self.address) + u64::from(self.virtual_bytes)
    }

    fn parse(entry: &[u8]) -> Self {
        SectionHeader {
            name: array(entry, 0),
            virtual_bytes: u32_le(entry, 8),
            address: u32_le(entry, 12),
            raw_bytes: u32_le(entry, 16),
            raw_offset: u32_le(entry, 20),
            characteristics: u32_le(entry, 36),
        }
    }

    fn encode(&self) -> [u8; SECTION_LEN] {
        let mut entry = [0; SECTION_LEN];
        put(&mut entry, 0, self.name);
        put(&mut entry, 8, self.virtual_bytes.to_le_bytes());
        put(&mut entry, 12, self.address.to_le_bytes());
        put(&mut entry, 16, self.raw_bytes.to_le_bytes());
        put(&mut entry, 20, self.raw_offset.to_le_bytes());
        put(&mut entry, 36, self.characteristics.to_le_bytes());
        entry
    }
}

impl Headers {
    /// Reads and checks the headers of `file`.
    pub(super) fn read<R: Read + Seek>(file: &mut R) -> io::Result<Result<Headers, Malformed>> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut start = Vec::new();
        file.take(u64::from(MAX_HEADERS_BYTES)).read_to_end(&mut start)?;
        Ok(Headers::parse(start, file_bytes))
    }

    fn parse(mut bytes: Vec<u8>, file_bytes: u64) -> Result<Headers, Malformed> {
        let coff = find_coff(&bytes)?;
        let optional = coff + COFF_LEN;
        let optional_len = u16_le(&bytes, coff + 16);
        let table = optional + usize::from(optional_len);
        let n_sections = u16_le(&bytes, coff + 2);
        if n_sections > MAX_SECTIONS {
            return Err(Malformed::TooLarge { n_sections, headers_bytes: 0 });
        }
        let table_end = table + usize::from(n_sections) * SECTION_LEN;
        if optional_len < OPTIONAL_HEADER_MIN || u16_le(&bytes, optional) != PE32_PLUS {
            return Err(Malformed::OptionalHeader { len: optional_len, magic: u16_le(&bytes, optional) });
        }
        let entries = bytes.get(table..table_end).ok_or(Malformed::Truncated)?;
        let sections: Vec<_> = entries.chunks_exact(SECTION_LEN).map(SectionHeader::parse).collect();
        let arch = arch_of(u16_le(&bytes, coff))?;
        bytes.truncate(table);
        let headers = Headers { bytes, coff, arch, sections };
        headers.check(table_end, file_bytes)?;
        Ok(headers)
    }

    fn check(&self, table_end: usize, file_bytes: u64) -> Result<(), Malformed> {
        let (section, file) = (self.section_alignment(), self.file_alignment());
        let usual = |alignment: u32| alignment.is_power_of_two() && alignment <= 1 << 16;
        if !usual(section) || !usual(file) || file > section || file < 16 {
            return Err(Malformed::Alignment { section, file });
        }
        let headers_bytes = self.headers_bytes();
        if headers_bytes > MAX_HEADERS_BYTES || (headers_bytes as usize) < table_end {
            return Err(Malformed::TooLarge { n_sections: self.sections.len() as u16, headers_bytes });
        }
        let outside = |s: &&SectionHeader| {
            u64::from(s.raw_offset) + u64::from(s.raw_bytes) > file_bytes
                || s.address_end() > u64::from(u32::MAX)
        };
        match self.sections.iter().find(outside) {
            Some(section) => Err(Malformed::Section(section.name())),
            None => Ok(()),
        }
    }

    fn optional(&self) -> usize {
        self.coff + COFF_LEN
    }

    fn field(&self, at: usize) -> u32 {
        u32_le(&self.bytes, self.optional() + at)
    }

    fn set_field(&mut self, at: usize, value: u32) {
        let at = self.optional() + at;
        put(&mut self.bytes, at, value.to_le_bytes());
    }

    pub(super) fn section_alignment(&self) -> u32 {
        self.field(32)
    }

    pub(super) fn file_alignment(&self) -> u32 {
        self.field(36)
    }

    /// Size of the image in memory.
    pub(super) fn image_bytes(&self) -> u32 {
        self.field(56)
    }

    /// Size of the headers in the file, and in memory.
    pub(super) fn headers_bytes(&self) -> u32 {
        self.field(60)
    }

    /// Whether the file carries an Authenticode signature (data directory 4).
    pub(super) fn is_signed(&self) -> bool {
        u64_le(&self.bytes, self.optional() + 144) != 0
    }

    /// Bytes that the headers take with a table of `n_sections`, not yet aligned.
    pub(super) fn table_end(&self, n_sections: usize) -> u64 {
        (self.bytes.len() + n_sections * SECTION_LEN) as u64
    }

    /// The headers of a file with `sections`, padded to `headers_bytes`. The checksum is zero, symbols are gone.
    pub(super) fn encode(&self, sections: &[SectionHeader], headers_bytes: u32, image_bytes: u32) -> Vec<u8> {
        let added: u32 = sections[self.sections.len()..].iter().map(|section| section.virtual_bytes).sum();
        let mut new = self.clone();
        put(&mut new.bytes, self.coff + 2, (sections.len() as u16).to_le_bytes());
        put(&mut new.bytes, self.coff + 8, [0; 8]);
        new.set_field(8, self.field(8).wrapping_add(added));
        new.set_field(56, image_bytes);
        new.set_field(60, headers_bytes);
        new.set_field(64, 0);
        let mut bytes = new.bytes;
        bytes.extend(sections.iter().flat_map(SectionHeader::encode));
        bytes.resize(headers_bytes as usize, 0);
        bytes
    }

    /// Puts the checksum into headers made by [`Headers::encode`].
    pub(super) fn put_checksum(&self, encoded: &mut [u8], checksum: u32) {
        put(encoded, self.optional() + 64, checksum.to_le_bytes());
    }
}

/// Offset of the COFF header, whose optional header's first 2 bytes are inside `bytes` too.
fn find_coff(bytes: &[u8]) -> Result<usize, Malformed> {
    if !bytes.starts_with(b"MZ") {
        return Err(Malformed::Signature);
    }
    if (bytes.len() as u64) < DOS_HEADER_LEN {
        return Err(Malformed::Truncated);
    }
    let pe = u32_le(bytes, PE_OFFSET_AT) as usize;
    let fixed = bytes.get(pe..).filter(|rest| rest.len() >= 4 + COFF_LEN + usize::from(OPTIONAL_HEADER_MIN));
    match fixed.ok_or(Malformed::Truncated)?.starts_with(b"PE\0\0") {
        true => Ok(pe + 4),
        false => Err(Malformed::Signature),
    }
}

fn arch_of(machine: u16) -> Result<Arch, Malformed> {
    match machine {
        0x8664 => Ok(Arch::Amd64),
        0xaa64 => Ok(Arch::Arm64),
        other => Err(Malformed::Machine(other)),
    }
}

/// The checksum of a PE file: the one's complement sum of its 16-bit words, its checksum field being zero, plus its
/// length.
#[derive(Debug, Default)]
pub(super) struct Checksum {
    sum: u64,
    len: u64,
}

impl Checksum {
    /// Adds the next bytes of the file.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        if !self.len.is_multiple_of(2)
            && let Some((high, rest)) = bytes.split_first()
        {
            self.sum += u64::from(*high) << 8;
            self.len += 1;
            bytes = rest;
        }
        let words = bytes.chunks_exact(2);
        let last = words.remainder().iter().map(|&low| u64::from(low)).sum::<u64>();
        self.sum += words.map(|word| u64::from(u16_le(word, 0))).sum::<u64>() + last;
        self.len += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> u32 {
        let mut sum = self.sum;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum + self.len) as u32
    }
}
