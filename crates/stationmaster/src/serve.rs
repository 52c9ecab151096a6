//! `stationmaster serve`: the update server in the foreground, until SIGTERM or Ctrl-C. Decides nothing; see `sm-server`.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::PathBuf,
};

use sm_rollout::omaha::Url;
use sm_server::Config;
use tracing::level_filters::LevelFilter;

use crate::context::{Context, Outcome};

const EXAMPLES: &str = "\
Examples:
  stationmaster serve --root releases
      Serve to this machine only, on port 8080.
  stationmaster serve --root releases --listen 0.0.0.0:8080 \\
      --public-url https://update.example.org/
      Serve behind a proxy that speaks HTTPS.

The configuration file:
  app_id = \"{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}\"
  public_url = \"https://update.example.org/\"
  poll_interval_secs = 2700
  [groups]
  production = \"stable\"    # beside a group per channel

Hosts ask at /v1/update/ (SERVER= in update.conf). Operators read /healthz,
/metrics, /v1/instances and /v1/events; nobody is asked for a password there,
so let a proxy guard them. A release is offered as soon as
CHANNEL/BOARD/current links to it, and withdrawn when the link is gone.";

/// What to serve, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Release directory, as `stationmaster compose` writes it.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// What hosts told is kept here; made where it is missing.
    #[arg(long, value_name = "FILE", default_value = "stationmaster.db")]
    db: PathBuf,
    /// Address and port; port 0 takes any free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How hosts reach this server, where not by the name they use.
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// More settings, in TOML; see below.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to log on standard error: off, error, warn, info, debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

/// Serves until it is told to stop. The first line of output is where it listens.
pub(crate) fn run(args: &Args, ctx: &Context<'_>) -> anyhow::Result<Outcome> {
    log_to_stderr(args.log);
    sm_server::run_until_signal(config(args)?, |address| announce(address, ctx))?;
    Ok(Outcome::Done)
}

fn config(args: &Args) -> Result<Config, sm_server::Error> {
    let mut config = Config::new(&args.root, &args.db);
    if let Some(path) = &args.config {
        config.read_file(path)?;
    }
    config.listen = args.listen;
    if let Some(url) = &args.public_url {
        config.public_url = Some(url.clone());
    }
    Ok(config)
}

fn announce(address: SocketAddr, ctx: &Context<'_>) -> anyhow::Result<()> {
    let update_url = format!("http://{address}/v1/update/");
    if ctx.json {
        ctx.line(serde_json::json!({ "address": address, "update_url": update_url }))?;
    } else {
        ctx.line(update_url)?;
    }
    Ok(())
}

fn log_to_stderr(level: LevelFilter) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr)
        .finish();
    // Somebody else's logger, set before, is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &[&str]) -> Args {
        Line::try_parse_from([&["serve", "--root", "releases"], line].concat()).unwrap().args
    }

    #[test]
    fn only_this_machine_is_served_unless_asked_otherwise() {
        assert!(config(&parsed(&[])).unwrap().listen.ip().is_loopback());
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.toml");
        std::fs::write(&path, "public_url = \"http://file/\"\npoll_interval_secs = 60\n").unwrap();
        let path = path.to_str().unwrap();
        let from_file = config(&parsed(&["--config", path])).unwrap();
        assert_eq!(from_file.public_url.unwrap().as_str(), "http://file/");
        let overridden = config(&parsed(&["--config", path, "--public-url", "http://line/"])).unwrap();
        assert_eq!(overridden.public_url.unwrap().as_str(), "http://line/");
        assert_eq!(overridden.poll_interval_secs, Some(60));
    }

    #[test]
    fn the_configuration_that_help_shows_is_valid() {
        let shown = EXAMPLES.split("file:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.toml");
        std::fs::write(&path, shown).unwrap();
        let config = config(&parsed(&["--config", path.to_str().unwrap()])).unwrap();
        assert!(config.channel_of("production").is_some());
    }
}
