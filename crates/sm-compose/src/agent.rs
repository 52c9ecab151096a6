//! The update agent built from source, with a compiler and libraries that are locked packages: for images of any
//! architecture, whatever this host's own Rust can build for and however new its C library is.
//!
//! The host gives `cargo`, and the C compiler that links what runs while building. Everything that gets into the agent
//! comes from the two trees. Nothing is installed.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use sm_debian::Keyring;
use sm_host::{
    files::{self, FileError},
    process::{Invocation, ProcessError},
    progress::Unit,
    tools::{ToolsError, ToolsTree},
};
use sm_model::{Arch, exit};

use crate::{
    archive::ArchiveError,
    build::{BuildError, World, tools_tree},
    recipe::Recipe,
};

/// The package of the agent in its workspace, and the program it makes.
const PACKAGE: &str = "sm-agent";
const PROGRAM: &str = "stationmaster-agent";
/// Settings of the caller that would get into the agent.
const NOT_INHERITED: [&str; 6] =
    ["CARGO_BUILD_TARGET", "RUSTC", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER", "RUSTDOC", "RUSTFLAGS"];

/// An agent that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The recipe does not say with what.
    #[error("the recipe names no compiler that builds the update agent for {0}")]
    NoToolchain(Arch),
    /// The agent's source is not where the recipe is.
    #[error("the source of the update agent is not above the recipe `{}`", .0.display())]
    NoSource(PathBuf),
    /// The compiler's packages hold no LLVM.
    #[error("the compiler's packages in `{}` have no directory `usr/lib/llvm-…`", .0.display())]
    NoLlvm(PathBuf),
    /// Compiler or libraries could not be fetched or unpacked.
    #[error("cannot get the packages that build the update agent")]
    Packages(#[source] Box<BuildError>),
    /// A program that the compiler's packages should have.
    #[error("the compiler's packages are not complete")]
    Tools(#[from] ToolsError),
    /// A file could not be written.
    #[error("cannot prepare the building of the update agent")]
    File(#[from] FileError),
    /// It does not build.
    #[error("the update agent does not build for {arch}")]
    Cargo {
        /// What it was built for.
        arch: Arch,
        /// What cargo says.
        source: ProcessError,
    },
}

impl AgentError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            AgentError::NoToolchain(arch) => Some(format!(
                "add `[compiler]` and `[sysroot]` to the recipe, or build the agent on a machine of that architecture and \
                 give it with `--agent` ({arch})"
            )),
            AgentError::NoSource(_) => Some(format!(
                "use a recipe in a clone of the source, or give a built agent with `--agent`: cargo's package `{PACKAGE}`"
            )),
            AgentError::NoLlvm(_) => Some("add `clang` and `lld` to `[compiler]` of the recipe".to_owned()),
            AgentError::Packages(error) if is_vanished(error) => Some(
                "remove `compiler-….lock` and `sysroot-….lock` beside the recipe: they are then made anew"
                    .to_owned(),
            ),
            AgentError::Packages(error) => error.hint(),
            AgentError::Tools(error) => error.hint(),
            AgentError::File(error) => error.hint(),
            AgentError::Cargo { .. } => Some("cargo and a C compiler must be in the PATH".to_owned()),
        }
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            AgentError::NoToolchain(_) | AgentError::NoSource(_) | AgentError::NoLlvm(_) => {
                exit::INVALID_INPUT
            }
            AgentError::Packages(error) => error.exit_code(),
            AgentError::File(error) => error.exit_code(),
            AgentError::Tools(_) | AgentError::Cargo { .. } => exit::FAILURE,
        }
    }
}

fn is_vanished(error: &BuildError) -> bool {
    matches!(error, BuildError::Archive(ArchiveError::Vanished(_)))
}

/// The workspace that a recipe lies in, if it is one with the agent's source.
///
/// # Errors
/// When no directory above the recipe is.
pub fn source_of(recipe: &Path) -> Result<PathBuf, AgentError> {
    let absolute = std::path::absolute(recipe).map_err(FileError::io("find", recipe))?;
    let has_agent = |dir: &&Path| {
        dir.join("Cargo.lock").is_file() && dir.join("crates").join(PACKAGE).join("Cargo.toml").is_file()
    };
    let found = absolute.ancestors().skip(1).find(has_agent);
    found.map(Path::to_owned).ok_or_else(|| AgentError::NoSource(recipe.to_owned()))
}

/// Builds the agent for an image of `target` from the workspace `source`; locks lie beside the recipe file. Gives its path
/// in the cache.
///
/// # Errors
/// When the recipe has no toolchain, its packages cannot be had, or the agent does not build.
pub fn build(
    recipe: &Recipe,
    recipe_path: &Path,
    source: &Path,
    target: Arch,
    world: &World<'_>,
) -> Result<PathBuf, AgentError> {
    let toolchain = recipe.toolchain.as_ref().ok_or(AgentError::NoToolchain(target))?;
    let packages = |error| AgentError::Packages(Box::new(error));
    let keyring = Keyring::parse(&recipe.keyring).map_err(|error| packages(error.into()))?;
    let tree = |request, name: String| {
        let lock = world.archive.lock(&recipe_path.with_file_name(name), &request, &keyring, world.now)?;
        tools_tree(&lock, world)
    };
    let compiler = tree(toolchain.compiler_for(world.host), format!("compiler-{}.lock", world.host));
    let sysroot = tree(toolchain.sysroot_for(target), format!("sysroot-{target}.lock"));
    let kit = Kit {
        compiler: compiler.map_err(packages)?,
        sysroot: sysroot.map_err(packages)?,
        host: world.host,
        target,
        place: world.cache.join("agent").join(target.to_string()),
    };
    kit.write()?;
    let _task = world.progress.begin(&format!("build the agent for {target}"), Unit::Waiting, None);
    let cargo = kit.cargo(source, env::vars_os())?;
    world.runner.run(&cargo).map_err(|source| AgentError::Cargo { arch: target, source })?;
    Ok(kit.place.join("target").join(kit.triple()).join("release").join(PROGRAM))
}

/// What one building needs, and where it happens.
struct Kit {
    compiler: ToolsTree,
    sysroot: ToolsTree,
    host: Arch,
    target: Arch,
    place: PathBuf,
}

impl Kit {
    fn triple(&self) -> String {
        rust_triple(self.target)
    }

    /// Directory of the tree's LLVM, whose version is the packages' business.
    fn llvm(&self) -> Result<String, AgentError> {
        let libraries = self.compiler.path("usr/lib");
        let names = fs::read_dir(&libraries).map_err(FileError::io("list", &libraries))?;
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("llvm-"))
            .collect();
        names.sort();
        let newest = names.pop().ok_or_else(|| AgentError::NoLlvm(self.compiler.root().to_owned()))?;
        Ok(format!("usr/lib/{newest}"))
    }

    /// Writes launchers for the compiler's programs, and the directories in which rustc and clang look for what is theirs.
    fn write(&self) -> Result<(), AgentError> {
        let llvm = self.llvm()?;
        files::create_dir_all(&self.place.join("bin"))?;
        files::create_dir_all(&self.place.join("lib"))?;
        files::create_dir_all(&self.place.join("rust/lib/rustlib"))?;
        for (name, program) in [
            ("rustc", "usr/bin/rustc".to_owned()),
            ("ar", "usr/bin/ar".to_owned()),
            ("clang", format!("{llvm}/bin/clang")),
            ("ld.lld", format!("{llvm}/bin/ld.lld")),
        ] {
            let path = self.place.join("bin").join(name);
            files::write_atomic(&path, self.compiler.launcher(&program)?.as_bytes())?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .map_err(FileError::io("set mode of", &path))?;
        }
        point(&self.place.join("lib/clang"), &self.compiler.path(&format!("{llvm}/lib/clang")))?;
        for (tree, arch) in [(&self.compiler, self.host), (&self.sysroot, self.target)] {
            let below = format!("lib/rustlib/{}", rust_triple(arch));
            point(&self.place.join("rust").join(&below), &tree.path("usr").join(&below))?;
        }
        Ok(())
    }

    /// The run of the host's cargo. What it inherits of `environment` are places and proxies, nothing that changes the agent.
    fn cargo(
        &self,
        source: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Invocation, AgentError> {
        let (triple, bin) = (self.triple(), self.place.join("bin"));
        let of_target = |prefix: &str| format!("{prefix}_{}", triple.replace('-', "_"));
        let cargo_target = format!("CARGO_TARGET_{}", triple.replace('-', "_").to_uppercase());
        let program = find_program("cargo").unwrap_or_else(|| "cargo".into());
        let mut run = Invocation::new(program).named("cargo").cwd(source);
        for (key, value) in environment.into_iter().filter(|(key, _)| is_inherited(key)) {
            run = run.env(key, value);
        }
        let clang_flags = self.clang_flags();
        let quoted: Vec<String> = clang_flags.iter().map(|flag| format!("'{flag}'")).collect();
        Ok(run
            .args(["build", "--quiet", "--release", "--locked", "--package", PACKAGE, "--target", &triple])
            .env("CARGO_TARGET_DIR", self.place.join("target"))
            .env("RUSTC", bin.join("rustc"))
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags(&clang_flags).join("\x1f"))
            .env(format!("{cargo_target}_LINKER"), bin.join("clang"))
            .env(of_target("CC"), bin.join("clang"))
            .env(of_target("AR"), bin.join("ar"))
            .env(of_target("CFLAGS"), quoted.join(" "))
            .env("CC_SHELL_ESCAPED_FLAGS", "1"))
    }

    fn clang_flags(&self) -> Vec<String> {
        vec![
            format!("--target={}", self.target.triplet()),
            format!("--sysroot={}", self.sysroot.root().display()),
            // clang looks for its headers beside the launcher, not beside the dynamic loader that the system says it is.
            "-no-canonical-prefixes".to_owned(),
        ]
    }

    fn rust_flags(&self, clang_flags: &[String]) -> Vec<String> {
        let linker = format!("--ld-path={}", self.place.join("bin/ld.lld").display());
        let linking = clang_flags.iter().chain([&linker]).map(|flag| format!("-Clink-arg={flag}"));
        std::iter::once(format!("--sysroot={}", self.place.join("rust").display())).chain(linking).collect()
    }
}

/// The architecture as Rust names it.
fn rust_triple(arch: Arch) -> String {
    format!("{}-unknown-linux-gnu", arch.uname())
}

fn is_inherited(key: &OsStr) -> bool {
    !NOT_INHERITED.iter().any(|name| key == OsStr::new(name))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Makes `link` point to `to`, whatever it pointed to before.
fn point(link: &Path, to: &Path) -> Result<(), FileError> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", link)(error)),
        _ => symlink(to, link).map_err(FileError::io("make link", link)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trees with what a kit looks for; programs are files of any content.
    fn kit(dir: &Path) -> Kit {
        let tree = |name: &str, arch: Arch, loader: &str, programs: &[&str]| {
            let root = dir.join(name);
            let loader = format!("usr/lib/{}/{loader}", arch.triplet());
            for file in programs.iter().copied().chain([loader.as_str()]) {
                files::write_atomic(&root.join(file), b"").unwrap();
            }
            ToolsTree::open(root, arch).unwrap()
        };
        let llvm = "usr/lib/llvm-22/bin";
        let programs = ["usr/bin/rustc", "usr/bin/ar", &format!("{llvm}/clang"), &format!("{llvm}/ld.lld")];
        Kit {
            compiler: tree("compiler", Arch::Amd64, "ld-linux-x86-64.so.2", &programs),
            sysroot: tree("sysroot", Arch::Arm64, "ld-linux-aarch64.so.1", &[]),
            host: Arch::Amd64,
            target: Arch::Arm64,
            place: dir.join("place with blanks"),
        }
    }

    #[test]
    fn cargo_gets_the_locked_compiler_and_nothing_that_the_caller_compiles_with() {
        let dir = tempfile::tempdir().unwrap();
        let kit = kit(dir.path());
        kit.write().unwrap();
        let environment = [("HOME", "/h"), ("RUSTFLAGS", "-Cx"), ("RUSTC_WRAPPER", "w"), ("RUSTC", "other")];
        let environment = environment.map(|(key, value)| (key.into(), value.into()));
        let run = kit.cargo(Path::new("/source"), environment).unwrap();
        let value =
            |key: &str| run.env.get(OsStr::new(key)).map(|value| value.to_string_lossy().into_owned());
        assert_eq!(value("HOME").unwrap(), "/h");
        assert!(value("RUSTFLAGS").is_none() && value("RUSTC_WRAPPER").is_none());
        let bin = kit.place.join("bin").display().to_string();
        assert_eq!(value("RUSTC").unwrap(), format!("{bin}/rustc"));
        assert_eq!(value("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER").unwrap(), format!("{bin}/clang"));
        let flags = value("CARGO_ENCODED_RUSTFLAGS").unwrap();
        assert!(
            flags.split('\x1f').any(|flag| flag == format!("-Clink-arg=--ld-path={bin}/ld.lld")),
            "{flags}"
        );
        assert!(run.args.iter().any(|arg| arg == "aarch64-unknown-linux-gnu"));
    }

    #[test]
    fn each_architecture_finds_its_own_standard_library() {
        let dir = tempfile::tempdir().unwrap();
        let kit = kit(dir.path());
        kit.write().unwrap();
        kit.write().unwrap();
        let target = |name: &str| fs::read_link(kit.place.join("rust/lib/rustlib").join(name)).unwrap();
        assert!(target("x86_64-unknown-linux-gnu").starts_with(kit.compiler.root()));
        assert!(target("aarch64-unknown-linux-gnu").starts_with(kit.sysroot.root()));
        let mode = fs::metadata(kit.place.join("bin/clang")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn packages_without_a_compiler_are_told_what_they_lack() {
        let dir = tempfile::tempdir().unwrap();
        let kit = kit(dir.path());
        fs::remove_dir_all(kit.compiler.path("usr/lib/llvm-22")).unwrap();
        let error = kit.write().unwrap_err();
        assert!(error.to_string().contains("llvm-") && error.hint().unwrap().contains("clang"), "{error}");
    }

    #[test]
    fn a_compiler_that_the_archive_no_longer_has_is_locked_anew() {
        let error = AgentError::Packages(Box::new(ArchiveError::Vanished(Vec::new()).into()));
        assert!(error.hint().unwrap().contains("remove `compiler-"), "{:?}", error.hint());
    }

    #[test]
    fn the_source_is_the_workspace_that_the_recipe_lies_in() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = dir.path().join("os/x/recipe.toml");
        let error = source_of(&recipe).unwrap_err();
        assert!(error.hint().unwrap().contains("--agent"), "{error}");
        files::write_atomic(&dir.path().join("Cargo.lock"), b"").unwrap();
        files::write_atomic(&dir.path().join("crates/sm-agent/Cargo.toml"), b"").unwrap();
        assert_eq!(source_of(&recipe).unwrap(), dir.path());
    }
}
