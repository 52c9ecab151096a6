//! Release notes: fragments in, one document out, rendered for every reader. What comes from a fragment is escaped wherever it goes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`prose`] | the Markdown of fragments: text, code, strong, emphasis, links; nothing else |
//! | [`fragment`] | one file of the changelog |
//! | [`mod@lint`] | everything that is wrong with a changelog, at once |
//! | [`mod@draft`] | fragments and package differences as one document |
//! | [`markdown`], [`html`], [`mail`], [`motd`] | the document for its readers |
//! | [`review`] | comments and suggestions, and what became of them |
//! | [`patch`] | a suggestion as a patch that other programs apply |

pub mod draft;
pub mod fragment;
pub mod html;
pub mod lint;
pub mod mail;
pub mod markdown;
pub mod motd;
pub mod patch;
pub mod prose;
pub mod review;

mod figures;

pub use draft::draft;
pub use fragment::Fragment;
pub use lint::lint;
pub use prose::Prose;
