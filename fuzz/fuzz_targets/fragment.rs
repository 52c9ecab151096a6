//! Changelog fragments: what is understood is rendered for every reader, and none of its words becomes markup of a page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sm_model::Channel;
use sm_release::notes::{
    Fragment,
    draft::{Compared, Subject, draft},
    html, mail, markdown, motd,
};

fuzz_target!(|bytes: &[u8]| {
    let id = "bugfixes/2026-11-20-lamp.md".parse().expect("the name of a fragment");
    let Ok(fragment) = Fragment::parse(&id, bytes) else { return };
    let version = "4902.0.0".parse().expect("a version");
    let subject = Subject { os: "Boxcar".to_owned(), channel: Channel::Alpha, version };
    let compared = Compared { since: None, known: [].into(), packages: vec![] };
    let notes = draft(subject, &[fragment], vec![compared]);
    let page = html::render(&notes).to_lowercase();
    for forbidden in ["<script", "<img", "<iframe", "href=\"javascript:", "href=\"data:"] {
        assert!(!page.contains(forbidden), "{forbidden}: {page}");
    }
    for text in [mail::render(&notes), markdown::render(&notes), motd::render(&notes)] {
        assert!(!text.contains('\u{1b}'), "an escape sequence for somebody's terminal");
    }
});
