//! From a recipe and a release's choices to the plan that composing starts from. Reads nothing, decides everything.

use sm_model::{Arch, Channel, Timestamp, Version, exit};

use super::types::{Os, Plan, Recipe, Target};

/// What a release adds to its recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// Architecture.
    pub arch: Arch,
    /// Channel.
    pub channel: Channel,
    /// Version.
    pub version: Version,
    /// The one time stamp of every file.
    pub source_date: Timestamp,
    /// Public key that payloads must be signed with (PEM), instead of the recipe's.
    pub payload_key_pem: Option<String>,
}

/// A release that its recipe does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The recipe has no such architecture.
    #[error("the recipe of `{os}` declares no architecture `{arch}`: expected {}", words(.declared))]
    UndeclaredArch {
        /// Id of the operating system.
        os: String,
        /// What was asked for.
        arch: Arch,
        /// What could have been.
        declared: Vec<Arch>,
    },
    /// The recipe has no such channel.
    #[error("the recipe of `{os}` declares no channel `{channel}`: expected {}", words(.declared))]
    UndeclaredChannel {
        /// Id of the operating system.
        os: String,
        /// What was asked for.
        channel: Channel,
        /// What could have been.
        declared: Vec<Channel>,
    },
    /// The version's LEVEL is another channel's.
    #[error("version `{version}` cannot be released to channel `{channel}`: expected LEVEL {}, found {}", .channel.level(), .version.level)]
    ForeignLevel {
        /// What was asked for.
        version: Version,
        /// Where to.
        channel: Channel,
    },
    /// No key for payloads was named.
    #[error("no public key for update payloads: hosts would accept no update")]
    NoPayloadKey,
    /// The time stamp cannot be written into every format.
    #[error("source date `{0}` is before 1980 or after 2105, which the boot partition cannot hold")]
    SourceDate(Timestamp),
}

impl PlanError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PlanError::UndeclaredArch { arch, .. } => format!("declare it in the recipe as `[arch.{arch}]`"),
            PlanError::UndeclaredChannel { channel, .. } => {
                format!("add `\"{channel}\"` to `channels` of `[os]` in the recipe")
            }
            PlanError::ForeignLevel { version, channel } => {
                format!("`--version {}.{}.{}`", version.major, channel.level(), version.patch)
            }
            PlanError::NoPayloadKey => {
                "make a pair with `stationmaster payload keygen` and give it with `--key`".to_owned()
            }
            PlanError::SourceDate(_) => "give another with `--source-date`".to_owned(),
        })
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        exit::INVALID_INPUT
    }
}

fn words<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(" or ")
}

impl Recipe {
    /// What to build for that architecture.
    ///
    /// # Errors
    /// When the recipe does not declare it.
    pub fn target(&self, arch: Arch) -> Result<&Target, PlanError> {
        self.targets.get(&arch).ok_or_else(|| PlanError::UndeclaredArch {
            os: self.os.id.clone(),
            arch,
            declared: self.targets.keys().copied().collect(),
        })
    }

    /// The plan of one release.
    ///
    /// # Errors
    /// When the recipe does not allow the choices.
    pub fn plan(&self, choices: Choices) -> Result<Plan, PlanError> {
        let target = self.target(choices.arch)?.clone();
        self.allow(choices.channel, choices.version)?;
        if !FAT_DATES.contains(&choices.source_date.unix_secs()) {
            return Err(PlanError::SourceDate(choices.source_date));
        }
        let key = choices.payload_key_pem.or_else(|| target.update.payload_key_pem.clone());
        Ok(Plan {
            os: self.os.clone(),
            target,
            version: choices.version,
            channel: choices.channel,
            source_date: choices.source_date,
            payload_key_pem: key.ok_or(PlanError::NoPayloadKey)?,
            recipe_digest: self.digest,
        })
    }

    fn allow(&self, channel: Channel, version: Version) -> Result<(), PlanError> {
        if !self.os.channels.contains(&channel) {
            let declared = self.os.channels.clone();
            return Err(PlanError::UndeclaredChannel { os: self.os.id.clone(), channel, declared });
        }
        if version.level != channel.level() {
            return Err(PlanError::ForeignLevel { version, channel });
        }
        Ok(())
    }
}

/// The years that FAT can hold, 1980 to 2105, a day short at both ends so that no time zone matters.
const FAT_DATES: std::ops::Range<i64> = 315_619_200..4_291_574_400;

/// Seconds of a day that each LEVEL has for its patches.
const SECS_PER_LEVEL: i64 = SECS_PER_DAY / 4;
const SECS_PER_DAY: i64 = 86_400;

impl Os {
    /// The time stamp of a version's files where none is given: the day of its branch, later for each LEVEL and PATCH.
    /// It rises from version to version (hosts refresh /etc and /var when /usr became newer) and needs no clock.
    pub fn date_of(&self, version: Version) -> Option<Timestamp> {
        let patch = i64::from(version.patch).min(SECS_PER_LEVEL - 1);
        let since =
            i64::from(version.major) * SECS_PER_DAY + i64::from(version.level) * SECS_PER_LEVEL + patch;
        Timestamp::from_unix_secs(self.epoch.unix_secs() + since).ok()
    }

    /// The first version of a branch cut on the day of `now`, for a channel: MAJOR counts days from the epoch.
    pub fn version_on(&self, now: Timestamp, channel: Channel) -> Version {
        let days = now.secs_since(self.epoch).div_euclid(SECS_PER_DAY);
        Version { major: u32::try_from(days).unwrap_or(0), level: channel.level(), patch: 0 }
    }
}
