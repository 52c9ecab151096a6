//! `stationmaster demo`: the whole chain at work. The steps are sm-pipeline's; this gives them keys, a release train, an update server
//! and a display.

mod train;

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use rand_core::OsRng;
use serde::Serialize;
use sha2::{Digest as _, Sha256 as Hasher};
use sm_compose::{build::World, recipe};
use sm_host::clock::SystemClock;
use sm_model::{Arch, Sha256};
use sm_pipeline::demo::{self, DemoPlan, DemoReport, Extent, Surroundings};

use crate::{
    compose,
    context::{Context, Outcome},
    payload::keygen,
    test::{Answer, quick::Workplace},
    update_service,
    workshop::with_world,
};
use train::{DemoTrain, Outcomes};

const EXAMPLES: &str = "\
Examples:
  stationmaster demo
  stationmaster demo --out /var/tmp/demo
  stationmaster demo --mirror debian=https://mirror.example/debian \\
      --mirror debian-security=https://mirror.example/debian-security

What happens: release A is composed of the last point release's packages. A
train is opened for B, which has every update since: composed, tested by the
release suite (its artifacts, and a running machine), compared, with notes,
voted on by three people with keys of their own, decided and published. C is
like B and broken on purpose. A virtual machine boots A through UEFI; its own
agent finds B, verifies it, installs it beside A and reboots into it; then it
tries C, falls back to B and says why.

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
    /// B's train.
    train: Outcomes,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcomes { checklist, decision, tests } = &self.train;
        tests.iter().try_for_each(|judged| writeln!(f, "{judged}\n"))?;
        if let Some(train) = checklist {
            writeln!(f, "{train}")?;
            train.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        }
        if let Some(decision) = decision {
            writeln!(
                f,
                "Anybody can compute the decision again: stationmaster decision verify {}\n",
                decision.display()
            )?;
        }
        write!(f, "{}", self.report)
    }
}

/// Prints the report however far it came; a step that failed is the error.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    let arch = Arch::Amd64;
    let plan = plan(args, arch)?;
    // Nothing is made for a recipe that is wrong.
    recipe::load(&plan.recipe, &[])?;
    let mut shown = Shown::default();
    let workplace = Workplace {
        recipe: &plan.recipe,
        tools_lock: plan.out.join("locks/tools.lock"),
        db: plan.out.join("tests.sqlite"),
        mirror: &args.mirror,
    };
    let mut train = DemoTrain::below(&plan.out, workplace, ctx, &mut shown.train);
    let ended =
        with_world(&args.mirror, ctx, |world| demonstrate(&plan, world, &mut train, &mut shown.report));
    if ended.is_ok() || !shown.report.steps.is_empty() {
        ctx.data(&shown)?;
    }
    ended?;
    let is_bad = shown.train.tests.iter().any(|judged| judged.answer == Answer::NotGood);
    Ok(if is_bad { Outcome::Negative } else { Outcome::Done })
}

fn plan(args: &Args, arch: Arch) -> anyhow::Result<DemoPlan> {
    let variant = |name: &str| args.recipe.with_file_name("variants").join(format!("{name}.toml"));
    let (extent, out) = if args.smoke { (Extent::Smoke, "out/smoke") } else { (Extent::Whole, "out/demo") };
    let out = args.out.clone().unwrap_or_else(|| out.into());
    ensure!(
        out.to_str().is_some(),
        "`{}` is not UTF-8: expected a name that fits into commands",
        out.display()
    );
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
    train: &mut DemoTrain<'_>,
    report: &mut DemoReport,
) -> anyhow::Result<()> {
    let key = keygen::read_or_make(&plan.out.join("keys"))?;
    let mut signer = |digest: &Sha256| key.sign(digest, &mut OsRng);
    let mut surroundings = Surroundings {
        world,
        clock: &SystemClock,
        start_endpoint: &update_service::start,
        signer: &mut signer,
        public_key_pem: key.public().to_pem()?,
        train: match plan.extent {
            Extent::Whole => Some(train),
            // The short run proves composing, booting and updating; whoever started it tests.
            Extent::Smoke => None,
        },
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
