//! What composing says before it begins and after it ended.

use std::path::PathBuf;

use clap::Parser;
use sm_compose::build::{StepTime, Twice};
use sm_model::{Artifact, ArtifactKind, Manifest, Sha256};

use super::{Args, Unready, host_arch, run, summary::Composed};
use crate::context::{Context, Outcome};

/// The verb by itself, as the command line gives it.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn compose(args: &[&str]) -> anyhow::Result<Outcome> {
    let recipe = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../os/boxcar/recipe.toml");
    let line = ["compose", "--recipe", recipe.to_str().unwrap()].into_iter().chain(args.iter().copied());
    run(&Line::parse_from(line).args, &Context::silent(false))
}

fn unready(args: &[&str]) -> String {
    let error = compose(args).unwrap_err();
    let unready = error.downcast_ref::<Unready>().unwrap_or_else(|| panic!("{error}"));
    format!("{unready}\n{}", unready.hint().unwrap_or_default())
}

#[test]
fn the_recipe_is_checked_without_key_agent_or_network() {
    assert_eq!(compose(&["--check", "--arch", "arm64"]).unwrap(), Outcome::Done);
}

#[test]
fn without_a_key_or_an_agent_the_next_step_is_named() {
    assert_eq!(
        unready(&[]),
        "no key to sign the payload with: hosts take no update without a signature\n\
         make one with `stationmaster payload keygen`, then give it with `--key`"
    );
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    let private = sm_trust::PrivateKey::generate(&mut rand_core::OsRng).unwrap();
    std::fs::write(&key, private.to_pem().unwrap().as_bytes()).unwrap();
    let told = unready(&["--key", key.to_str().unwrap()]);
    assert!(told.starts_with("no update agent at `"), "{told}");
    let arch = host_arch().unwrap();
    let next = format!("cargo build --release -p sm-agent`, or give one for {arch} with `--agent`");
    assert!(told.ends_with(&next), "{told}");
}

#[test]
fn a_version_of_another_channel_is_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key.pem");
    let private = sm_trust::PrivateKey::generate(&mut rand_core::OsRng).unwrap();
    std::fs::write(&key, private.to_pem().unwrap().as_bytes()).unwrap();
    let error = compose(&["--key", key.to_str().unwrap(), "--version", "4893.2.0"]).unwrap_err();
    assert!(error.to_string().contains("cannot be released to channel `alpha`"), "{error}");
}

fn manifest() -> Manifest {
    let artifact = |name: &str, kind, size_bytes| {
        Artifact::sample(name.parse().unwrap(), kind, size_bytes, Sha256([0; 32]))
    };
    let artifacts = vec![
        artifact("boxcar_production_image_changelogs.json.zst", ArtifactKind::Changelogs, 90_900),
        artifact("version.txt", ArtifactKind::VersionText, 290),
    ];
    let kernel = "6.12.117+deb13-cloud-amd64".to_owned();
    let usr_root_hash = Sha256([0xab; 32]);
    Manifest { kernel, usr_root_hash, ..Manifest::sample("4893.0.1".parse().unwrap(), artifacts) }
}

#[test]
fn the_summary_fits_80_columns_and_lines_up() {
    let step = |step, millis, bytes| StepTime { step, millis, bytes };
    let composed = Composed {
        directory: "releases/alpha/amd64-usr/4893.0.1".into(),
        is_current: false,
        manifest_sha256: Sha256([0xcd; 32]),
        manifest: manifest(),
        steps: vec![step("lock", 40, 0), step("image", 61_234, 126_000_000)],
        verified: Some(Twice {
            n_artifacts: 13,
            differing: vec!["version.txt".into()],
            same_description: true,
        }),
    };
    let hash = |byte: &str| byte.repeat(32);
    assert_eq!(
        composed.to_string(),
        format!(
            "\
boxcar 4893.0.1 for alpha amd64-usr
  in        releases/alpha/amd64-usr/4893.0.1
            a newer version is there: `current` still points to it
  manifest  {}
  /usr      {}
  kernel    6.12.117+deb13-cloud-amd64

ARTIFACT                                            BYTES
boxcar_production_image_changelogs.json.zst       90.9 kB
version.txt                                         290 B

STEP                                    TIME        BYTES
lock                                   0.0 s            -
image                             1 min 01 s     126.0 MB
total                             1 min 01 s

composed twice: 1 of 13 artifacts differ
  version.txt",
            hash("cd"),
            hash("ab")
        )
    );
    assert!(composed.to_string().lines().all(|line| line.chars().count() <= 80));
}
