//! Each contradiction is told at its line; all of them together.

use super::{RECIPE, complaints, load_texts, problems};
use crate::recipe::RecipeError;
use proptest::prelude::*;
use sm_host::files::FileError;

#[test]
fn a_right_recipe_is_taken_whole() {
    let recipe = load_texts(RECIPE, &[]).unwrap();
    assert_eq!(recipe.os.id, "boxcar");
    assert_eq!(recipe.targets.len(), 2);
    let target = &recipe.targets[&sm_model::Arch::Amd64];
    let wanted: Vec<_> = target.packages.wanted.iter().map(|name| name.as_str()).collect();
    assert_eq!(wanted, ["bash", "linux-image-cloud-amd64", "systemd"]);
    assert_eq!(target.kernel.arguments, ["rw", "console=tty0", "console=ttyS0"]);
    let files: Vec<_> = target.files.keys().map(|path| path.as_str()).collect();
    assert_eq!(
        files,
        ["/etc/hosts", "/usr/lib/systemd/system/a.service", "/usr/lib/systemd/system/b.service"]
    );
    assert_eq!(&*recipe.keyring, b"keys");
    assert_eq!(recipe.tools_for(sm_model::Arch::Arm64).suites.len(), 1);
}

#[test]
fn everything_wrong_is_told_at_once_with_place_expectation_and_hint() {
    let text = RECIPE
        .replace("id = \"boxcar\"", "id = \"Boxcar\"")
        .replace("[packages]\n", "[packages]\nwnated = []\n")
        .replace("esp-mib = 512", "esp-mib = \"512\"")
        .replace("[arch.arm64]", "[arch.riscv64]");
    let told: Vec<_> = problems(&text)
        .iter()
        .map(|problem| problem.to_string().split_once("recipe.toml:").unwrap().1.to_owned())
        .collect();
    assert_eq!(
        told,
        [
            "3:6: `Boxcar` cannot be an operating system's id\n    expected lower-case letters, digits, `.`, `_` or `-`, \
             starting with a letter (os-release, `ID=`)",
            "22:1: unknown key `wnated`\n    expected one of `wanted`, `excluded`, `assumed`, `pins`\n    \
             hint: did you mean `wanted`?",
            "80:11: found string\n    expected a whole number from 0 to 4294967295",
            "95:7: unknown architecture `riscv64`: expected `amd64` or `arm64`",
        ]
    );
}

#[test]
fn errors_of_syntax_do_not_hide_errors_of_meaning() {
    let text = RECIPE.replace("esp-mib = 512", "esp-mib = 512 512").replace("uid = 500", "uid = 0");
    let lines: Vec<_> = problems(&text).iter().map(|problem| problem.location.line).collect();
    assert!(lines.contains(&35) && lines.contains(&79), "{lines:?}");
}

#[test]
fn a_text_that_is_no_toml_at_all_is_told_as_that_alone() {
    let told = problems("this is not a recipe");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].location.line, 1);
}

#[test]
fn packages_cannot_be_wanted_and_kept_out() {
    let told =
        complaints("excluded = [\"perl\"]", "excluded = [\"bash\", \"dpkg\", \"perl\", \"perl\", \"P\"]");
    assert_eq!(
        told,
        [
            "0: package `bash` is both wanted and excluded",
            "0: `perl` is written twice",
            "0: `P` is not a package name: expected lower-case letters, digits and `+-.`, starting with a letter or digit",
            "1: package `dpkg` is both excluded and assumed",
        ]
    );
    let told = complaints("excluded = [\"perl\"]", "excluded = [\"linux-image-cloud-amd64\"]");
    assert_eq!(told, ["68: the kernel's package `linux-image-cloud-amd64` is excluded or assumed"]);
}

#[test]
fn pins_name_one_thing_that_exists() {
    assert_eq!(complaints("{ suite = \"trixie\" }", "{}"), ["0: the pin of `bash` does not say to what"]);
    assert_eq!(
        complaints("{ suite = \"trixie\" }", "{ suite = \"sid\" }"),
        ["0: no suite `sid` is declared"]
    );
    assert_eq!(complaints("{ suite = \"trixie\" }", "{ version = \"5.2-1\" }"), [""; 0]);
}

#[test]
fn accounts_have_numbers_of_their_own_and_groups_that_exist() {
    assert_eq!(
        complaints(
            "core = { gid = 500 }",
            "core = { gid = 500 }\nother = { gid = 500, members = [\"nobody-here\"] }"
        ),
        ["1: gid 500 of `other` already belongs to `core`", "1: user `nobody-here` is not declared"]
    );
    assert_eq!(
        complaints("core = { uid = 500, ", "a = { uid = 500, group = \"core\" }\ncore = { uid = 500, "),
        ["1: uid 500 of `core` already belongs to `a`"]
    );
    assert_eq!(complaints("core = { uid = 500, ", "core = { "), ["0: user `core` lacks `uid`"]);
    assert_eq!(complaints("core = { uid = 500, ", "core = { uid = 65534, "), ["0: uid 65534 is reserved"]);
    assert_eq!(
        complaints("home = \"/home/core\"", "group = \"wheel\", home = \"a:b\""),
        [
            "0: group `wheel` is not declared",
            "0: `a:b` is not absolute",
            "0: a colon or control character would break the passwd file"
        ]
    );
}

#[test]
fn a_path_is_declared_once_inside_the_image_and_not_where_composing_writes() {
    let with = |more: &str| complaints("[[directories]]", &format!("{more}\n[[directories]]"));
    assert_eq!(
        with("[[files]]\npath = \"/etc/hosts\"\ntext = \"\""),
        ["1: `/etc/hosts` is declared twice, as file and as file"]
    );
    assert_eq!(with("[[files]]\npath = \"/var/x\"\ntext = \"\""), ["1: `/var/x` is outside the image"]);
    assert_eq!(
        with("[[files]]\npath = \"/usr/lib/os-release\"\ntext = \"\""),
        ["1: `/usr/lib/os-release` is written by composing itself"]
    );
    assert_eq!(
        with("[[files]]\npath = \"/usr/share/boxcar/etc/hosts\"\ntext = \"\""),
        ["1: `/usr/share/boxcar/etc/hosts` is written by composing itself"]
    );
    assert_eq!(with("[[files]]\npath = \"/usr/x\""), ["0: the file does not say what it holds"]);
    assert_eq!(with("[[files]]\ntext = \"\""), ["0: the entry lacks `path`"]);
    assert_eq!(
        with("[[files]]\npath = \"/usr/x\"\ntext = \"\"\nreplace = true"),
        ["3: nothing at `/usr/x` to replace"]
    );
    assert_eq!(
        complaints("\"/usr/bin/awk\" = \"gawk\"", "\"/etc/ssh\" = \"x\""),
        ["0: `/etc/ssh` is declared twice, as directory and as symbolic link"]
    );
}

#[test]
fn sources_exist_beside_the_recipe() {
    let told = complaints("source = \"hosts\"", "source = \"../hosts\"");
    assert_eq!(told, ["0: `../hosts` leaves the recipe's directory"]);
    let told = complaints("source = \"hosts\"", "source = \"hots\"");
    assert!(told[0].starts_with("0: `hots` does not exist beside `"), "{told:?}");
    assert_eq!(
        complaints("source = \"units\"", "source = \"units\"\nmode = \"0600\""),
        ["1: `mode` cannot be given for a whole directory"]
    );
}

#[test]
fn permission_bits_are_octal() {
    for wrong in ["0800", "10000", "+755", "rwx", ""] {
        let told = complaints("mode = \"2755\"", &format!("mode = \"{wrong}\""));
        assert_eq!(told, [format!("0: `{wrong}` are no permission bits")]);
    }
}

#[test]
fn a_masked_unit_is_nothing_else() {
    assert_eq!(
        complaints("[\"ldconfig.service\"]", "[\"ssh.service\", \"multi-user.target\", \"x\"]"),
        [
            "0: unit `ssh.service` is masked and yet a health unit",
            "0: unit `ssh.service` is masked and yet enabled",
            "0: unit `multi-user.target` is masked and yet the default target",
            "0: `x` is no unit name",
        ]
    );
}

#[test]
fn the_kernel_line_leaves_to_composing_what_composing_sets() {
    assert_eq!(
        complaints("\"rw\"", "\"usrhash=00\", \"a b\", \"rw\""),
        ["0: the kernel argument `usrhash` is set by composing itself", "0: `a b` is no kernel argument"]
    );
    let long = format!("\"{}\"", "x".repeat(2000));
    assert_eq!(
        complaints("\"rw\"", &long),
        ["24: the kernel arguments have 2028 bytes", "28: the kernel arguments have 2014 bytes"]
    );
}

#[test]
fn slots_hold_what_they_are_for() {
    assert_eq!(
        complaints("verity-mib = 16", "verity-mib = 5"),
        ["0: a slot of 512 MiB needs a larger tree than 5 MiB"]
    );
    assert_eq!(complaints("verity-mib = 16", "verity-mib = 6"), [""; 0]);
    assert_eq!(complaints("esp-mib = 512", "esp-mib = 32"), ["0: `esp-mib` cannot be 32"]);
    assert_eq!(complaints("\"zstd,level=3\"", "\"zip\""), ["0: `zip` is no compression of EROFS"]);
    assert_eq!(
        complaints("compression =", "cluster-bytes = 5000\ncompression ="),
        ["0: `cluster-bytes` cannot be 5000"]
    );
    assert_eq!(
        complaints("compression =", "extent-bytes = 5000\ncompression ="),
        ["0: `extent-bytes` cannot be 5000"]
    );
}

#[test]
fn identity_and_update_defaults_have_known_shapes() {
    assert_eq!(
        complaints("\"alpha\"", "\"alhpa\""),
        ["0: unknown channel `alhpa`: expected `alpha`, `beta`, `stable` or `lts-YEAR`"]
    );
    assert_eq!(
        complaints("-b0c4a2f15e01}", "-B0C4A2F15E01}"),
        ["0: `{7a1f8e9c-2b7d-4c53-9d0e-B0C4A2F15E01}` is no application id"]
    );
    assert_eq!(complaints("2013-07-01", "2013-07-01T10:00:00"), ["0: found datetime"]);
    assert_eq!(complaints("\"disabled\"", "\"ftp://x\""), ["0: `ftp://x` is no update server"]);
    assert_eq!(complaints("\"reboot\"", "\"never\""), ["0: `never` is no reboot strategy"]);
    assert_eq!(complaints("\"debian-13\"", "\"Debian\""), ["0: `Debian` names no distribution"]);
    assert_eq!(
        complaints("payload-key = \"key.pem\"", "payload-key = \"hosts\""),
        ["0: `hosts` is no public key"]
    );
}

#[test]
fn an_empty_recipe_lacks_every_required_section() {
    let told: Vec<_> = problems("").into_iter().map(|problem| problem.what).collect();
    assert_eq!(
        told,
        [
            "`[archive]` lacks `keyring`",
            "`[os]` lacks `app-id`",
            "`[os]` lacks `channels`",
            "`[os]` lacks `distro`",
            "`[os]` lacks `epoch`",
            "`[os]` lacks `id`",
            "`[os]` lacks `name`",
            "`[tools]` wants no package",
            "no architecture is declared",
            "no suite of `[archive]` is enabled",
        ]
    );
}

#[test]
fn what_is_no_text_of_sensible_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    for bytes in [vec![0xff; 4], vec![b'#'; (1 << 20) + 1]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(
            crate::recipe::load(&path, &[]),
            Err(RecipeError::Read(FileError::NotText { .. } | FileError::TooLarge { .. }))
        ));
    }
    let absent = crate::recipe::load(&dir.path().join("absent.toml"), &[]).unwrap_err();
    assert!(matches!(absent, RecipeError::Read(_)) && absent.hint().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic_and_every_problem_has_a_place(at in 0..RECIPE.len(), cut in 0..40usize, with in "\\PC{0,12}") {
        let mut text = RECIPE.as_bytes().to_vec();
        text.splice(at..(at + cut).min(RECIPE.len()), with.bytes());
        if let Ok(text) = String::from_utf8(text) {
            for problem in problems(&text) {
                prop_assert!(problem.location.line >= 1 && problem.location.line <= text.matches('\n').count() + 1);
            }
        }
    }
}
