//! How many files and connections this process may have open at a time.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// Lets this process open as many files as it may ever (setrlimit(2): the soft limit becomes the hard one), and says how many
/// those are.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}

/// Whether something failed because this process, or the whole host, has too many files open: it may work again in a while.
pub fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_highest_that_is_allowed() {
        let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise_limit(), allowed);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), allowed);
    }

    #[test]
    fn a_shortage_is_told_from_what_will_not_pass() {
        let of = |errno: Errno| is_shortage(&io::Error::from(errno));
        assert!(of(Errno::MFILE) && of(Errno::NFILE));
        assert!(!of(Errno::ACCESS) && !is_shortage(&io::Error::other("x")));
    }
}
