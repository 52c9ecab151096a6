//! The tests that boot: real disks, real firmware, real reboots. Boots are what a run costs, so tests that look at different
//! days of the same machine's life travel with it (see [`journey`]), each with a verdict of its own.
//!
//! | module | tests | boots |
//! |---|---|---|
//! | [`life`] | `boot.direct`, `boot.uefi`, `boot.second`, `boot.budget`, `provision.*`, `identity.unique` | 4 |
//! | [`update`] | `update.apply`, `container.update-survive`, `update.rollback-manual`, `update.oldest-supported` | 3, and 2 for another oldest release |
//! | [`itself`] | `update.self`, `update.rollback-auto` | 2, and 4 |
//! | [`interrupted`] | `update.interrupted` | 6, four of them to the shell only |
//! | [`power_cut`] | `boot.crash-recovery` | 5, three of them cut short |
//! | [`tamper`] | `verity.tamper` | 1, cut short |
//!
//! | module | what tests use |
//! |---|---|
//! | [`journey`] | machines that go from one test to the next |
//! | [`updating`] | an update server, and what a machine does with what it offers |
//! | [`successor`] | later releases, made of the one under test |
//! | [`traits`] | what tells one machine from another |
//! | [`container`] | a container whose traces are looked for later |
//! | [`budget`] | what boots cost, with an interval |

pub mod budget;
pub mod container;
pub mod interrupted;
pub mod itself;
pub mod journey;
pub mod life;
pub mod power_cut;
pub mod successor;
pub mod tamper;
pub mod traits;
pub mod update;
pub mod updating;
