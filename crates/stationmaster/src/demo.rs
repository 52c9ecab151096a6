//! `stationmaster demo`: the whole chain at work. The steps are sm-pipeline's; this gives them keys, an update server and a display.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rand_core::OsRng;
use serde::Serialize;
use sha2::{Digest as _, Sha256 as Hasher};
use sm_compose::build::World;
use sm_host::clock::SystemClock;
use sm_model::{Arch, Sha256};
use sm_pipeline::demo::{self, DemoPlan, DemoReport, Extent, Surroundings};
use sm_trust::PrivateKey;
use sm_vmtest::suite::catalog::Class;

use crate::{
    compose,
    context::{Context, Outcome},
    payload::keygen,
    test::{
        Answer, Judged,
        quick::{self, Workplace},
    },
    update_service,
    workshop::with_world,
};

const EXAMPLES: &str = "\
Examples:
  stationmaster demo
  stationmaster demo --out /var/tmp/demo
  stationmaster demo --mirror debian=https://mirror.example/debian \\
      --mirror debian-security=https://mirror.example/debian-security

What happens: release A is composed of the last point release's packages,
B of those with every update since, C like B and broken on purpose. A virtual
machine boots A through UEFI; its own agent finds B, verifies it, installs it
beside A and reboots into it; then it tries C, falls back to B and says why.

Then the release suite looks into A and B, and asks B in a running machine.

Takes some ten minutes where machines are emulated, and downloads about
400 MB once. Nothing is installed, and no root, loop device or KVM is needed;
KVM is used where a guest really runs on it. A second run uses the locks,
packages and releases of the first; remove DIR to begin anew.";

/// Compose, boot, update and fall back: the whole chain on real packages.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where everything made goes [default: out/demo, or out/smoke].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only compose two releases of the same packages, boot one, update to
    /// the other.
    #[arg(long)]
    smoke: bool,
    /// The recipe; its variants `point-release` and `broken` lie beside it.
    #[arg(long, value_name = "FILE", default_value = "os/boxcar/recipe.toml")]
    recipe: PathBuf,
    /// Where an archive is, instead of what APT says; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    mirror: Vec<String>,
    /// The update agent's binary [default: beside this program].
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// What was shown, and what the release suite says about it.
#[derive(Debug, Default, Serialize)]
struct Shown {
    #[serde(flatten)]
    report: DemoReport,
    /// Verdicts over the releases that are meant to be good.
    tests: Vec<Judged>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for judged in &self.tests {
            writeln!(f, "{judged}\n")?;
        }
        write!(f, "{}", self.report)
    }
}

/// Prints the report however far it came; a step that failed is the error.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let arch = Arch::Amd64;
    let plan = plan(args, arch)?;
    let key = keygen::read_or_make(&plan.out.join("keys"))?;
    let mut shown = Shown::default();
    let ended = with_world(&args.mirror, ctx, |world| demonstrate(&plan, world, &key, &mut shown.report))
        .and_then(|()| judge(args, &plan, &mut shown, ctx));
    ctx.data(&shown)?;
    ended?;
    let is_bad = shown.tests.iter().any(|judged| judged.answer == Answer::NotGood);
    Ok(if is_bad { Outcome::Negative } else { Outcome::Done })
}

/// Runs the quick classes of the release suite: A and B are looked into, and B runs in a machine that its tests share. The
/// short run leaves that to whoever started it.
fn judge(args: &Args, plan: &DemoPlan, shown: &mut Shown, ctx: &Context<'_>) -> anyhow::Result<()> {
    if plan.extent == Extent::Smoke {
        return Ok(());
    }
    let workplace = Workplace {
        recipe: &plan.recipe,
        tools_lock: plan.out.join("locks/tools.lock"),
        db: plan.out.join("tests.sqlite"),
        mirror: &args.mirror,
    };
    let classes: [&[Class]; 2] = [&[Class::Offline], &[Class::Offline, Class::Shared]];
    for (made, classes) in shown.report.made.iter().zip(classes) {
        ctx.progress.note(&format!("release suite at {}", made.version));
        shown.tests.push(quick::judge(&made.directory, classes, &workplace, ctx)?);
    }
    Ok(())
}

fn plan(args: &Args, arch: Arch) -> anyhow::Result<DemoPlan> {
    let variant = |name: &str| args.recipe.with_file_name("variants").join(format!("{name}.toml"));
    let (extent, out) = if args.smoke { (Extent::Smoke, "out/smoke") } else { (Extent::Whole, "out/demo") };
    let out = args.out.clone().unwrap_or_else(|| out.into());
    Ok(DemoPlan {
        out: std::path::absolute(&out).with_context(|| format!("cannot use `{}`", out.display()))?,
        recipe: args.recipe.clone(),
        older_variant: variant("point-release"),
        broken_variant: variant("broken"),
        arch,
        agent: compose::agent(args.agent.as_deref(), arch)?,
        program_sha256: own_digest()?,
        extent,
    })
}

fn demonstrate(
    plan: &DemoPlan,
    world: World<'_>,
    key: &PrivateKey,
    report: &mut DemoReport,
) -> anyhow::Result<()> {
    let mut signer = |digest: &Sha256| key.sign(digest, &mut OsRng);
    let mut surroundings = Surroundings {
        world,
        clock: &SystemClock,
        start_endpoint: &update_service::start,
        signer: &mut signer,
        public_key_pem: key.public().to_pem()?,
    };
    Ok(demo::run(plan, &mut surroundings, report)?)
}

/// Digest of this program: what another build of it composed is not used again.
fn own_digest() -> anyhow::Result<Sha256> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    digest_of(&own).with_context(|| format!("cannot read `{}`", own.display()))
}

fn digest_of(path: &Path) -> io::Result<Sha256> {
    let mut hasher = Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(Sha256(hasher.finalize().into()))
}
