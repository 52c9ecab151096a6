//! The test suite that an image has to pass: which tests there are, what each asserts, and how a run becomes a report.
//!
//! A test gets facts about a release and says what is wrong with it; it never decides what follows from that. Verdicts are
//! `sm_release`'s: a re-run adds evidence, and what could not be carried out is never a pass.
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalog`] | every test: name, class, gate, what it asserts |
//! | [`finding`] | what a test says |
//! | [`facts`] | what tests are told about a release |
//! | [`usr`] | the files of /usr as a running host sees them |
//! | [`lists`] | reviewed lists beside the operating system's recipe |
//! | [`gather`](mod@gather) | facts from the artifacts of a release |
//! | [`artifacts`] | whether a release's files are those its manifest names |
//! | [`offline`] | the tests that need no machine |
//! | [`run`](mod@run) | attempts: every test on its own, whatever the others do |
//! | [`bench`](mod@bench), [`machine`], [`trail`] | what tests with machines work with, and leave behind |
//! | [`room`] | what machines may take of this host |
//! | [`crew`] | runs the tests that need machines |
//! | [`boot`] | the tests that start machines of their own |
//! | [`clone`](mod@clone) | the tests that change a copy of a machine |
//! | [`shared`] | the tests that look at a machine and leave it as it was |
//! | [`external`] | tests that are executables of somebody else's |
//! | [`release`] | a release as a folder holds it |
//! | [`report`] | the report with its logs, kept by digest |
//! | [`audit`](mod@audit) | whether a report is what its evidence says |
//! | [`matrix`] | verdicts over a report |
//! | [`table`], [`tap`], [`junit`] | a matrix for people and for other programs |

pub mod artifacts;
pub mod audit;
pub mod bench;
pub mod boot;
pub mod catalog;
pub mod clone;
pub mod crew;
mod dirt;
mod elf;
pub mod external;
pub mod facts;
pub mod finding;
pub mod gather;
pub mod junit;
pub mod lists;
pub mod machine;
pub mod matrix;
pub mod offline;
pub mod release;
pub mod report;
pub mod room;
pub mod run;
mod scan;
pub mod shared;
pub mod table;
pub mod tap;
pub mod trail;
pub mod usr;

#[cfg(test)]
mod pretence;
#[cfg(test)]
mod sample;
