//! What people look at every day, as values: the same for text, JSON and pages. Nothing is decided here.
//!
//! | module | what it shows |
//! |---|---|
//! | [`status`] | a train: its releases, its checklist, what is next on it |
//! | [`today`] | the day: whether it is open, which trains go, what is due |
//! | [`poll`] | votes on a release, and what they come to |

pub mod poll;
pub mod status;
pub mod today;
