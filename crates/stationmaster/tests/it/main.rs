//! The operator's command as an operator runs it: words in, words and exit codes out, files on a real disk.

mod desk;
mod notes;
mod pkg;
mod store;
