//! Kernel images: sections lie inside the file, and an image can be taken for a stub without harm.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sm_image::uki::{Image, Parts, build};
use stationmaster_fuzz::pe;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = Image::read(&mut Cursor::new(bytes)) {
        assert!(image.sections().iter().all(|section| section.bytes.end <= bytes.len() as u64));
        let _ = (image.usrhash(), image.os_release("ID"));
    }
    let (stub, kernel) = (pe::stub(), pe::kernel());
    for (stub, linux) in [(bytes, &kernel[..]), (&stub[..], bytes)] {
        let parts = Parts { stub, linux, initrd: b"i", cmdline: "rw", os_release: "ID=x", uname: "1" };
        let mut out = Vec::new();
        if build(&parts, &mut out).is_ok() {
            Image::read(&mut Cursor::new(out)).expect("it was just built");
        }
    }
});
