//! First boot of a composed image, from power-on until systemd has nothing left to start, as processor time of the machine.
//!
//! No peer boots here: the measure is the prototype's first boot, which took 95 to 105 seconds of processor time under emulation.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    Manner,
    measure::{Side, in_turns},
    report::Report,
    workplace::Workplace,
};

/// Half of what the prototype's first boot took at best, in seconds of processor time.
const AIM_CPU_SECS: f64 = 95.0 / 2.0;

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where an archive is (NAME=URL), instead of what APT says; repeatable.
    #[arg(long)]
    mirror: Vec<String>,
    #[command(flatten)]
    manner: Manner,
}

const FIRST: &str = "stationmaster vm, first boot";

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let workplace = Workplace::open(&args.mirror)?;
    let cpus = args.manner.cpus.as_str();
    let release = workplace.composed(cpus)?;
    let boot = || {
        let mut boot = workplace.stationmaster(cpus);
        boot.args(["vm", "--until-settled"]).arg(&release);
        workplace.with_mirrors(boot)
    };
    let nothing = || Ok(());
    let sides = [Side { name: FIRST, prepare: &nothing, command: &boot }];
    let mut report = Report::new("boot", cpus);
    for (side, costs) in sides.iter().zip(in_turns(&sides, &args.manner)?) {
        report.side(side.name, costs)?;
    }
    if let Some(cpu_secs) = report.cpu_secs(FIRST) {
        report.at_most("seconds of processor time", AIM_CPU_SECS, cpu_secs);
    }
    report.print(args.manner.json)?;
    Ok(ExitCode::SUCCESS)
}
