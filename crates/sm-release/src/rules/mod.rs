//! The rules that a project goes by, as files under review: read strictly, every mistake told at once.
//!
//! | module | file |
//! |---|---|
//! | [`policy`] | `policy.toml`: what gates ask for, how votes are taken |
//! | [`maintainers`] | `maintainers.toml`: who votes with weight |
//! | [`days`] | `calendar.toml`: cadence, freezes, holidays |
//! | [`muted`] | `quarantine.toml`: which known failures are muted |

pub mod days;
pub mod maintainers;
pub mod muted;
pub mod policy;
mod policy_text;
pub(crate) mod text;

use std::collections::BTreeMap;

use sm_model::{Sha256, evidence::RuleFile};

pub use maintainers::{Maintainer, Maintainers};
pub use policy::Policy;
pub(crate) use policy_text::matches;
pub use text::Problem;

use crate::{proof::digest_bytes, quarantine::Quarantine};
use days::Days;

/// Rules in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What gates ask for.
    pub policy: Policy,
    /// Who votes with weight.
    pub maintainers: Maintainers,
    /// Cadence, freezes, holidays.
    pub days: Days,
    /// Known failures that are muted.
    pub quarantines: Vec<Quarantine>,
    /// Digests of the files as they were adopted.
    pub digests: BTreeMap<RuleFile, Sha256>,
}

impl Rules {
    /// Puts a file in force.
    ///
    /// # Errors
    /// Everything that is wrong with it; then nothing has changed.
    pub fn adopt(&mut self, file: RuleFile, text: &str) -> Result<(), Vec<Problem>> {
        match file {
            RuleFile::Policy => self.policy = Policy::parse(text)?,
            RuleFile::Maintainers => self.maintainers = Maintainers::parse(text)?,
            RuleFile::Calendar => self.days = Days::parse(text)?,
            RuleFile::Quarantine => self.quarantines = muted::parse(text)?,
        }
        self.digests.insert(file, digest_bytes(text.as_bytes()));
        Ok(())
    }

    /// Whether exactly this text is in force.
    pub fn has(&self, file: RuleFile, text: &str) -> bool {
        self.digests.get(&file) == Some(&digest_bytes(text.as_bytes()))
    }
}
