//! A folder to work in, and the command.

use std::{fs, path::PathBuf};

use sm_host::process::{Invocation, Runner, SystemRunner};

pub(crate) struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    /// A project without people and rules of its own.
    pub(crate) fn new() -> Desk {
        let desk = Desk { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(desk.path("os/boxcar/release")).unwrap();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What the command says on standard output when it succeeds.
    pub(crate) fn run(&self, by: &str, args: &[&str]) -> String {
        let output = SystemRunner.run(&self.invocation(by, args)).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the command says on standard error when it does not.
    pub(crate) fn refused(&self, by: &str, args: &[&str]) -> String {
        SystemRunner.run(&self.invocation(by, args)).unwrap_err().to_string()
    }

    /// `by` is who acts; nobody when empty.
    fn invocation(&self, by: &str, args: &[&str]) -> Invocation {
        let command = Invocation::new(env!("CARGO_BIN_EXE_stationmaster")).args(args).cwd(self.dir.path());
        if by.is_empty() { command } else { command.env("STATIONMASTER_AS", by) }
    }
}
