//! A recipe that is right, and everything that can be wrong with one.

mod boxcar;
mod documented;
mod judged;
mod laid_over;
mod planned;

use std::{fs, path::Path};

use super::{Problem, Recipe, RecipeError, load};

/// The smallest recipe that uses every section.
pub(crate) const RECIPE: &str = r#"
[os]
id = "boxcar"
name = "Boxcar Linux"
epoch = 2013-07-01
app-id = "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}"
channels = ["alpha", "stable", "lts-2026"]
distro = "debian-13"

[archive]
keyring = "keyring.asc"

[archive.suites.trixie]
mirror = "debian"
components = ["main"]

[archive.suites.trixie-security]
mirror = "debian-security"
components = ["main"]

[packages]
wanted = ["systemd", "bash"]
excluded = ["perl"]
assumed = ["dpkg"]
pins.bash = { suite = "trixie" }

[tools]
suites = ["trixie"]
wanted = ["erofs-utils"]

[groups]
core = { gid = 500 }

[users]
core = { uid = 500, home = "/home/core", shell = "/usr/bin/bash" }

[[files]]
path = "/etc/hosts"
source = "hosts"

[[files]]
path = "/usr/lib/systemd/system"
source = "units"

[[directories]]
path = "/etc/ssh"

[[modes]]
path = "/usr/bin/ssh-agent"
mode = "2755"
group = "core"

[symlinks]
"/usr/bin/awk" = "gawk"

[units]
default-target = "multi-user.target"
enabled = ["ssh.service"]
masked = ["ldconfig.service"]
health = ["ssh.service"]

[drop]
paths = ["/usr/share/man/**"]
keep = ["/usr/share/doc/*/copyright"]

[kernel]
arguments = ["rw", "console=tty0"]

[initrd]
modules = ["erofs"]
files = ["/usr/bin/mount"]
units = ["initrd.target"]

[[initrd.placed]]
path = "/etc/initrd-release"
text = "ID=boxcar\n"

[disk]
esp-mib = 512
usr-mib = 512
verity-mib = 16
root-mib = 512
compression = "zstd,level=3"

[update]
server = "disabled"
reboot-strategy = "reboot"
payload-key = "key.pem"

[arch.amd64]
kernel.package = "linux-image-cloud-amd64"
kernel.arguments = ["console=ttyS0"]

[arch.arm64]
kernel.package = "linux-image-cloud-arm64"
"#;

/// Writes a recipe and the files it names into a directory.
pub(crate) fn write_recipe(dir: &Path, text: &str) {
    fs::create_dir_all(dir.join("units")).unwrap();
    fs::write(dir.join("recipe.toml"), text).unwrap();
    fs::write(dir.join("keyring.asc"), "keys").unwrap();
    fs::write(dir.join("key.pem"), "-----BEGIN PUBLIC KEY-----\n").unwrap();
    fs::write(dir.join("hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(dir.join("units/a.service"), "[Unit]\n").unwrap();
    fs::write(dir.join("units/b.service"), "[Unit]\n").unwrap();
}

/// Loads a recipe text with variants, each a name and a text, from a directory of its own.
pub(crate) fn load_texts(recipe: &str, variants: &[(&str, &str)]) -> Result<Recipe, RecipeError> {
    let dir = tempfile::tempdir().unwrap();
    write_recipe(dir.path(), recipe);
    let path = |name: &str| dir.path().join(format!("{name}.toml"));
    for (name, text) in variants {
        fs::write(path(name), text).unwrap();
    }
    let paths: Vec<_> = variants.iter().map(|(name, _)| path(name)).collect();
    load(&path("recipe"), &paths)
}

/// What is wrong with a recipe text.
fn problems(recipe: &str) -> Vec<Problem> {
    match load_texts(recipe, &[]) {
        Err(RecipeError::Invalid(problems)) => problems,
        Err(error) => panic!("{error}"),
        Ok(_) => Vec::new(),
    }
}

/// What is wrong with [`RECIPE`] after replacing a text in it: `LINE: WHAT`, where the line counts from the replaced text.
fn complaints(old: &str, new: &str) -> Vec<String> {
    assert!(RECIPE.contains(old), "{old}");
    let first = RECIPE[..RECIPE.find(old).unwrap()].matches('\n').count() + 1;
    problems(&RECIPE.replacen(old, new, 1))
        .into_iter()
        .map(|problem| format!("{}: {}", problem.location.line as i64 - first as i64, problem.what))
        .collect()
}
