//! CPU architectures, in Debian's spelling, and the boards named after them in Flatcar's.

use std::{fmt, str::FromStr};

use crate::text::serde_as_text;

/// A CPU architecture that Stationmaster composes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

/// A text that names no architecture we compose for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}`: expected `amd64` or `arm64`")]
pub struct UnknownArch(String);

impl Arch {
    /// Every architecture, in display order.
    pub const ALL: [Arch; 2] = [Arch::Amd64, Arch::Arm64];

    /// Debian's name, as in `Architecture:` fields.
    pub const fn debian(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }

    /// The kernel's name, as printed by `uname -m`.
    pub const fn uname(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64",
            Arch::Arm64 => "aarch64",
        }
    }

    /// Debian's multi-arch triplet, as in `/usr/lib/TRIPLET`.
    pub const fn triplet(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-linux-gnu",
            Arch::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// UEFI's short name, as in `BOOTX64.EFI` (UEFI 2.10, section 3.5.1.1), in lower case.
    pub const fn efi(self) -> &'static str {
        match self {
            Arch::Amd64 => "x64",
            Arch::Arm64 => "aa64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debian())
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Arch::ALL.into_iter().find(|arch| arch.debian() == text).ok_or_else(|| UnknownArch(text.to_owned()))
    }
}

serde_as_text!(Arch);

/// A board: what an image is built for, and what a client says in its update requests (`amd64-usr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Board(pub Arch);

/// A text that names no board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown board `{0}`: expected `amd64-usr` or `arm64-usr`")]
pub struct UnknownBoard(String);

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-usr", self.0)
    }
}

impl FromStr for Board {
    type Err = UnknownBoard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix("-usr")
            .and_then(|arch| arch.parse().ok())
            .map(Board)
            .ok_or_else(|| UnknownBoard(text.to_owned()))
    }
}

serde_as_text!(Board);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse(), Ok(arch));
            assert_eq!(Board(arch).to_string().parse(), Ok(Board(arch)));
        }
    }

    #[test]
    fn foreign_names_are_refused_with_their_text() {
        assert_eq!(
            "x86".parse::<Arch>().unwrap_err().to_string(),
            "unknown architecture `x86`: expected `amd64` or `arm64`"
        );
        assert!("amd64".parse::<Board>().is_err());
    }
}
