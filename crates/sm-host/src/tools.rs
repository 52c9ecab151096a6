//! Runs programs of an unpacked tools tree with that tree's own loader and libraries.
//!
//! The tree is a set of Debian packages, unpacked and never installed. Its programs are not started directly (that would use
//! the libraries of the machine they run on) but through the tree's own dynamic loader, so that every machine builds with the
//! same bytes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sm_model::Arch;

use crate::process::Invocation;

/// Directories searched for programs, below the tree.
const PROGRAM_DIRS: [&str; 3] = ["usr/bin", "usr/sbin", "usr/libexec"];

/// An unpacked tools tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolsTree {
    root: PathBuf,
    arch: Arch,
}

/// A tree that cannot run a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// The tree has no such program.
    #[error("the tools tree `{}` has no program `{program}`", root.display())]
    NoProgram {
        /// Where the tree is.
        root: PathBuf,
        /// What was looked for.
        program: String,
    },
    /// The tree has no C library for this machine.
    #[error("the tools tree `{}` has no dynamic loader: expected `{loader}`", root.display())]
    NoLoader {
        /// Where the tree is.
        root: PathBuf,
        /// The loader's path below the tree.
        loader: String,
    },
}

impl ToolsError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        let (ToolsError::NoProgram { root, .. } | ToolsError::NoLoader { root, .. }) = self;
        Some(format!(
            "remove `{}` and run the same command again: the tree is then unpacked anew",
            root.display()
        ))
    }
}

impl ToolsTree {
    /// The tree unpacked at `root`, whose programs are built for `arch`.
    ///
    /// # Errors
    /// When the tree has no dynamic loader for `arch`.
    pub fn open(root: impl Into<PathBuf>, arch: Arch) -> Result<Self, ToolsError> {
        let tree = ToolsTree { root: root.into(), arch };
        if tree.loader().is_file() {
            Ok(tree)
        } else {
            Err(ToolsError::NoLoader { loader: loader_path(arch), root: tree.root })
        }
    }

    /// Where the tree is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the tree, for data files such as firmware.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// A run of one of the tree's programs, to which the caller adds arguments.
    ///
    /// # Errors
    /// When the tree has no such program.
    pub fn invocation(&self, program: &str) -> Result<Invocation, ToolsError> {
        let no_program = || ToolsError::NoProgram { root: self.root.clone(), program: program.to_owned() };
        let path = PROGRAM_DIRS
            .iter()
            .map(|dir| self.root.join(dir).join(program))
            .find(|path| fs::metadata(path).is_ok_and(|found| found.is_file()))
            .ok_or_else(no_program)?;
        Ok(Invocation::new(self.loader())
            .named(program)
            .arg("--argv0")
            .arg(program)
            .arg("--library-path")
            .arg(self.library_path())
            .arg(path)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC"))
    }

    /// Text of an executable file that starts the program at a path below the tree, for programs that start others by one
    /// path, as cargo does. The program takes the file for itself and can start itself again by it.
    ///
    /// # Errors
    /// When the tree has no such program.
    pub fn launcher(&self, below: &str) -> Result<String, ToolsError> {
        let path = self.path(below);
        if !fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            return Err(ToolsError::NoProgram { root: self.root.clone(), program: below.to_owned() });
        }
        let [loader, libraries, program] =
            [self.loader(), self.library_path().into(), path].map(|path| word(&path));
        Ok(format!("#!/bin/sh\nexec {loader} --argv0 \"$0\" --library-path {libraries} {program} \"$@\"\n"))
    }

    fn loader(&self) -> PathBuf {
        self.root.join(loader_path(self.arch))
    }

    fn library_path(&self) -> String {
        let dir = self.root.join("usr/lib").join(self.arch.triplet());
        format!("{0}:{0}/systemd:{0}/pulseaudio", dir.display())
    }
}

/// A path as one word of a shell.
fn word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Path of the dynamic loader below a merged-/usr tree (Debian's `libc6`).
fn loader_path(arch: Arch) -> String {
    let file = match arch {
        Arch::Amd64 => "ld-linux-x86-64.so.2",
        Arch::Arm64 => "ld-linux-aarch64.so.1",
    };
    format!("usr/lib/{}/{file}", arch.triplet())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Runner as _, SystemRunner};

    fn tree_with(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            crate::files::write_atomic(&dir.path().join(file), b"").unwrap();
        }
        dir
    }

    const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

    #[test]
    fn a_program_runs_through_the_trees_own_loader() {
        let dir = tree_with(&[LOADER, "usr/bin/mkfs.erofs"]);
        let root = dir.path().display();
        let tree = ToolsTree::open(dir.path(), Arch::Amd64).unwrap();
        let run = tree.invocation("mkfs.erofs").unwrap().arg("--help");
        assert_eq!(run.program, dir.path().join(LOADER));
        let lib = format!("{root}/usr/lib/x86_64-linux-gnu");
        assert_eq!(
            run.to_string(),
            format!(
                "mkfs.erofs --argv0 mkfs.erofs --library-path {lib}:{lib}/systemd:{lib}/pulseaudio {root}/usr/bin/mkfs.erofs --help"
            )
        );
    }

    #[test]
    fn a_launcher_is_a_file_that_starts_a_program_with_its_own_name() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tree_with(&[LOADER, "usr/lib/it's/prog"]);
        // A loader that tells what it was asked to do.
        let loader = dir.path().join(LOADER);
        fs::write(&loader, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        fs::set_permissions(&loader, fs::Permissions::from_mode(0o755)).unwrap();
        let tree = ToolsTree::open(dir.path(), Arch::Amd64).unwrap();
        let launcher = dir.path().join("launch");
        fs::write(&launcher, tree.launcher("usr/lib/it's/prog").unwrap()).unwrap();
        let run = Invocation::new("/bin/sh").arg(&launcher).arg("a b").env("PATH", "/usr/bin:/bin");
        let said = SystemRunner.run(&run).unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let words: Vec<&str> = said.lines().collect();
        assert_eq!(words[..2], ["--argv0", launcher.to_str().unwrap()]);
        assert_eq!(words[4..], [tree.path("usr/lib/it's/prog").to_str().unwrap(), "a b"]);
        assert!(matches!(tree.launcher("usr/lib/other"), Err(ToolsError::NoProgram { .. })));
    }

    #[test]
    fn a_tree_without_loader_or_program_says_so() {
        let empty = tree_with(&[]);
        assert!(matches!(ToolsTree::open(empty.path(), Arch::Amd64), Err(ToolsError::NoLoader { .. })));
        let bare = tree_with(&[LOADER]);
        let error = ToolsTree::open(bare.path(), Arch::Amd64).unwrap().invocation("depmod").unwrap_err();
        assert!(error.to_string().ends_with("has no program `depmod`"), "{error}");
    }
}
