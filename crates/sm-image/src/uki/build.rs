//! Building an image: the stub's own sections, then ours, each at the next free address.

use std::{
    borrow::Cow,
    io::{Cursor, Write},
};

use super::{
    Error,
    image::{LineBreaks, MAX_TEXT_BYTES, is_text},
    pe::{Checksum, Headers, SectionHeader},
    sbat,
};

const CODE: u32 = 0x20;
const INITIALIZED_DATA: u32 = 0x40;
const READABLE: u32 = 0x4000_0000;

/// Names of the sections that are appended, in their order: a stub that has one already would shadow ours.
const OWN_SECTIONS: [&[u8; 8]; 5] = [b".osrel\0\0", b".cmdline", b".uname\0\0", b".initrd\0", b".linux\0\0"];

/// What an image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// systemd's `linuxx64.efi.stub` or `linuxaa64.efi.stub`.
    pub stub: &'a [u8],
    /// The kernel with its own EFI stub, as distributions ship it.
    pub linux: &'a [u8],
    /// The initial RAM disk, compressed or not.
    pub initrd: &'a [u8],
    /// The kernel command line.
    pub cmdline: &'a str,
    /// The text of os-release.
    pub os_release: &'a str,
    /// The kernel's release (`uname -r`).
    pub uname: &'a str,
}

/// A section with its bytes.
pub(super) struct Planned<'a> {
    pub(super) header: SectionHeader,
    pub(super) content: Cow<'a, [u8]>,
}

/// Builds the image of `parts`, writes it to `out`, and returns its size in bytes.
///
/// # Errors
/// When stub or kernel are unusable or for different machines, a text is unusable, or `out` fails.
pub fn build<W: Write>(parts: &Parts<'_>, out: &mut W) -> Result<u64, Error> {
    check_texts(parts.cmdline, parts.os_release)?;
    check_text(".uname", parts.uname, LineBreaks::Refused)?;
    let stub = headers_of("stub", parts.stub)?;
    let kernel = headers_of("kernel", parts.linux)?;
    check_stub(&stub, &kernel)?;

    let mut plan: Vec<Planned<'_>> =
        stub.sections.iter().map(|header| own_section(header, parts.stub)).collect();
    let kernel_sbat = kernel.sections.iter().find(|section| section.name() == ".sbat");
    replace_sbat(&mut plan, kernel_sbat.map_or(&[], |section| raw(section, parts.linux)))?;
    // Read in place by the stub, the kernel needs the room that it asks for in its own headers.
    let linux_bytes = (kernel.image_bytes() as usize).max(parts.linux.len());
    let [os_release, cmdline, uname, initrd, linux] = OWN_SECTIONS;
    for (name, content) in [
        (os_release, parts.os_release.as_bytes()),
        (cmdline, parts.cmdline.as_bytes()),
        (uname, parts.uname.as_bytes()),
        (initrd, parts.initrd),
    ] {
        append(&mut plan, &stub, *name, INITIALIZED_DATA, content, content.len())?;
    }
    append(&mut plan, &stub, *linux, CODE, parts.linux, linux_bytes)?;
    write_image(&stub, plan, out)
}

pub(super) fn check_texts(cmdline: &str, os_release: &str) -> Result<(), Error> {
    check_text(".cmdline", cmdline, LineBreaks::Refused)?;
    check_text(".osrel", os_release, LineBreaks::Allowed)
}

fn check_text(section: &'static str, text: &str, line_breaks: LineBreaks) -> Result<(), Error> {
    if is_text(text, line_breaks) { Ok(()) } else { Err(Error::Text { section, max: MAX_TEXT_BYTES }) }
}

pub(super) fn headers_of(what: &'static str, file: &[u8]) -> Result<Headers, Error> {
    let headers =
        Headers::read(&mut Cursor::new(file)).map_err(|source| Error::Io { action: "read", source })?;
    headers.map_err(|source| Error::Malformed { what, source })
}

fn check_stub(stub: &Headers, kernel: &Headers) -> Result<(), Error> {
    if stub.arch != kernel.arch {
        return Err(Error::ArchMismatch { stub: stub.arch, kernel: kernel.arch });
    }
    if stub.is_signed() {
        return Err(Error::UnsuitableStub("it is signed; the finished image is what gets signed"));
    }
    if stub.sections.iter().any(|section| OWN_SECTIONS.contains(&&section.name)) {
        return Err(Error::UnsuitableStub("it has sections of a finished image"));
    }
    Ok(())
}

pub(super) fn raw<'a>(section: &SectionHeader, file: &'a [u8]) -> &'a [u8] {
    let start = section.raw_offset as usize;
    &file[start..start + section.raw_bytes as usize]
}

fn own_section<'a>(header: &SectionHeader, stub: &'a [u8]) -> Planned<'a> {
    Planned { header: header.clone(), content: Cow::Borrowed(raw(header, stub)) }
}

/// The stub has revocation data of its own, which must name kernel and image too; it may grow into its padding.
fn replace_sbat(plan: &mut [Planned<'_>], of_kernel: &[u8]) -> Result<(), Error> {
    let Some(at) = plan.iter().position(|section| section.header.name() == ".sbat") else {
        return Err(Error::UnsuitableStub("it has no `.sbat` section"));
    };
    let next = plan
        .iter()
        .map(|section| section.header.address)
        .filter(|&address| address > plan[at].header.address);
    let room = next.min().unwrap_or(u32::MAX) - plan[at].header.address;
    let merged = sbat::merge(&[&plan[at].content, of_kernel]);
    let virtual_bytes = u32::try_from(merged.len()).ok().filter(|&len| len <= room);
    plan[at].header.virtual_bytes = virtual_bytes.ok_or(Error::NoRoom("the revocation data"))?;
    plan[at].content = Cow::Owned(merged);
    Ok(())
}

fn append<'a>(
    plan: &mut Vec<Planned<'a>>,
    stub: &Headers,
    name: [u8; 8],
    contains: u32,
    content: &'a [u8],
    virtual_bytes: usize,
) -> Result<(), Error> {
    let end = plan.iter().map(|section| section.header.address_end()).max().unwrap_or(0);
    let header = SectionHeader {
        name,
        virtual_bytes: u32::try_from(virtual_bytes).map_err(|_| Error::NoRoom("more than 4 GiB"))?,
        address: aligned(end, stub.section_alignment())?,
        raw_bytes: 0,
        raw_offset: 0,
        characteristics: READABLE | contains,
    };
    plan.push(Planned { header, content: Cow::Borrowed(content) });
    Ok(())
}

/// Gives every section its place in the file, then writes headers and sections.
pub(super) fn write_image<W: Write>(
    stub: &Headers,
    mut plan: Vec<Planned<'_>>,
    out: &mut W,
) -> Result<u64, Error> {
    let file_alignment = stub.file_alignment();
    let headers_bytes = headers_bytes(stub, &plan)?;
    let mut offset = u64::from(headers_bytes);
    for Planned { header, content } in &mut plan {
        header.raw_bytes = aligned(content.len() as u64, file_alignment)?;
        header.raw_offset = if header.raw_bytes == 0 { 0 } else { aligned(offset, 1)? };
        offset += u64::from(header.raw_bytes);
    }
    aligned(offset, file_alignment)?;
    let end = plan.iter().map(|section| section.header.address_end()).max().unwrap_or(0);
    let image_bytes = aligned(end, stub.section_alignment())?;

    let table: Vec<_> = plan.iter().map(|section| section.header.clone()).collect();
    let mut headers = stub.encode(&table, headers_bytes, image_bytes);
    let zeros = vec![0; file_alignment as usize];
    let body: Vec<&[u8]> = plan
        .iter()
        .flat_map(|Planned { header, content }| {
            [&**content, &zeros[..header.raw_bytes as usize - content.len()]]
        })
        .collect();
    let mut checksum = Checksum::default();
    checksum.add(&headers);
    body.iter().for_each(|part| checksum.add(part));
    stub.put_checksum(&mut headers, checksum.finish());
    out.write_all(&headers)
        .and_then(|()| body.iter().try_for_each(|part| out.write_all(part)))
        .and_then(|()| out.flush())
        .map_err(|source| Error::Io { action: "write", source })?;
    Ok(offset)
}

/// The headers grow into the space before the first section, in the file and in memory.
fn headers_bytes(stub: &Headers, plan: &[Planned<'_>]) -> Result<u32, Error> {
    let needed = stub.table_end(plan.len()).max(u64::from(stub.headers_bytes()));
    let headers_bytes = aligned(needed, stub.file_alignment())?;
    match plan.iter().map(|section| section.header.address).min() {
        Some(first) if headers_bytes > first => Err(Error::NoRoom("more section headers in the stub")),
        _ => Ok(headers_bytes),
    }
}

/// Rounded up, and still within the 32 bits that every size and address in the format has.
fn aligned(value: u64, alignment: u32) -> Result<u32, Error> {
    u32::try_from(value.next_multiple_of(u64::from(alignment))).map_err(|_| Error::NoRoom("more than 4 GiB"))
}
