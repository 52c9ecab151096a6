//! Giving an image other texts: the same stub, kernel and initial RAM disk under another command line and os-release.

use std::borrow::Cow;

use super::{
    Error,
    build::{Planned, check_texts, headers_of, raw, write_image},
};

/// The image in `file` with another command line and os-release. Sections keep their addresses; a signature would not fit the
/// new image, so signed ones are refused.
///
/// # Errors
/// When `file` is no usable image or is signed, a text is unusable, or it needs more room than the next section leaves.
pub fn reword(file: &[u8], cmdline: &str, os_release: &str) -> Result<Vec<u8>, Error> {
    check_texts(cmdline, os_release)?;
    let headers = headers_of("kernel image", file)?;
    if headers.is_signed() {
        return Err(Error::UnsuitableStub("it is signed; texts are changed before signing"));
    }
    let texts = [(".cmdline", cmdline), (".osrel", os_release)];
    let mut plan: Vec<Planned<'_>> = headers
        .sections
        .iter()
        .map(|header| Planned { header: header.clone(), content: Cow::Borrowed(raw(header, file)) })
        .collect();
    for (name, text) in texts {
        put_text(&mut plan, name, text)?;
    }
    let mut out = Vec::with_capacity(file.len());
    write_image(&headers, plan, &mut out)?;
    Ok(out)
}

fn put_text<'a>(plan: &mut [Planned<'a>], name: &'static str, text: &'a str) -> Result<(), Error> {
    let at = plan.iter().position(|section| section.header.name() == name);
    let at = at.ok_or(Error::NoSection(name))?;
    let address = plan[at].header.address;
    let next = plan.iter().map(|section| section.header.address).filter(|&other| other > address).min();
    let room = next.unwrap_or(u32::MAX) - address;
    let bytes = u32::try_from(text.len()).ok().filter(|&len| len <= room);
    plan[at].header.virtual_bytes = bytes.ok_or(Error::NoRoom("a longer text"))?;
    plan[at].content = Cow::Borrowed(text.as_bytes());
    Ok(())
}
