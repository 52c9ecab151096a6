//! Channels: the streams that hosts follow, from `alpha` to the long-term streams.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A release channel. Order is the order of promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// First public stop of every branch.
    Alpha,
    /// Second stop; wider soak.
    Beta,
    /// What most fleets run.
    Stable,
    /// A long-term stream, named by its year: `lts-2026`.
    Lts(u16),
}

/// A text that names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown channel `{0}`: expected `alpha`, `beta`, `stable` or `lts-YEAR`")]
pub struct UnknownChannel(String);

impl Channel {
    /// The LEVEL field of versions that live in this channel (0 alpha, 1 beta, 2 stable, 3 lts).
    pub const fn level(self) -> u8 {
        match self {
            Channel::Alpha => 0,
            Channel::Beta => 1,
            Channel::Stable => 2,
            Channel::Lts(_) => 3,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Alpha => f.write_str("alpha"),
            Channel::Beta => f.write_str("beta"),
            Channel::Stable => f.write_str("stable"),
            Channel::Lts(year) => write!(f, "lts-{year}"),
        }
    }
}

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownChannel(text.to_owned());
        match text {
            "alpha" => Ok(Channel::Alpha),
            "beta" => Ok(Channel::Beta),
            "stable" => Ok(Channel::Stable),
            _ => {
                let year = text.strip_prefix("lts-").ok_or_else(unknown)?;
                if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(unknown());
                }
                year.parse().map(Channel::Lts).map_err(|_| unknown())
            }
        }
    }
}

serde_as_text!(Channel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_in_promotion_order() {
        let order = [Channel::Alpha, Channel::Beta, Channel::Stable, Channel::Lts(2026)];
        assert!(order.is_sorted());
        for channel in order {
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for text in ["", "Alpha", "lts", "lts-26", "lts-+026", "stable "] {
            assert!(text.parse::<Channel>().is_err(), "{text:?}");
        }
    }
}
