//! Recipe to lock to tree to images: a pure plan, then a run.
//!
//! | module | what it does |
//! |---|---|
//! | [`recipe`] | what an operating system is made of: TOML text → checked recipe → plan |

pub mod recipe;
