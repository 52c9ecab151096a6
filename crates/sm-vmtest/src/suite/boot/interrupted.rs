//! An update that is interrupted again and again: the server goes away in the middle of the download, the power goes in the middle
//! of the download and of the writing, and once more when everything is said to be installed. The machine keeps running the old
//! release, goes on where it was, by itself, and ends in the new one.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use sm_host::relay::Relay;
use sm_model::ArtifactKind;

use super::{
    successor::{Health, Maker},
    updating::{self, INSTALL, Reboot},
};
use crate::{
    Answer,
    host_state::HostState,
    suite::{
        bench::{Bench, Service},
        finding::{Findings, Looked, Stop},
        machine::{BOOT, Machine},
        release::Release,
    },
};

/// Where the power is cut while /usr is written, in percent of it.
const WRITTEN: [u64; 3] = [10, 50, 90];
/// The partition that an update of a fresh machine is written to. It is empty, so what is there was written.
const PASSIVE: &str = "/sys/block/vda/vda4/start";
/// Looking whether a transfer is as far as wanted.
const TRANSFER: Duration = Duration::from_secs(30);

/// What an interrupted update consists of.
struct Attempt<'b, 'a> {
    bench: &'b Bench<'a>,
    service: Service,
    relay: Relay,
    next: Release,
    payload_bytes: u64,
    findings: Findings,
}

/// `update.interrupted`
pub fn interrupted<'a>(bench: &Bench<'a>, machine: Machine<'a>) -> Looked {
    let mut maker = Maker::new(bench)?;
    let next = maker.make(1, Health::Good)?;
    let service = bench.serve()?;
    service.offer(bench.release())?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, service.port()));
    let relay = Relay::open(server).map_err(|error| Stop::trouble("host-network", &error))?;
    let payload_bytes =
        next.manifest().artifact(ArtifactKind::Payload).map_or(0, |payload| payload.size_bytes);
    let findings = Findings::of("an update with seven interruptions");
    let mut attempt = Attempt { bench, service, relay, next, payload_bytes, findings };

    let machine = attempt.prepare(machine, &maker)?;
    drop(maker);
    let machine = attempt.cut_download(machine)?;
    let machine = attempt.cut_writing(machine)?;
    attempt.finish(machine)?;
    Ok(attempt.findings)
}

impl<'a> Attempt<'_, 'a> {
    /// The machine knows where updates come from, and waits for orders.
    fn prepare(&mut self, mut machine: Machine<'a>, maker: &Maker<'_>) -> Result<Machine<'a>, Stop> {
        maker.check_trust(&mut machine)?;
        updating::ask_at(&mut machine, self.relay.port(), Reboot::OnOrder)?;
        only_on_order(&mut machine)?;
        self.service.offer(&self.next)?;
        Ok(machine)
    }

    /// The server goes away at 10 %, the power at 50 %, the server again at 90 %.
    fn cut_download(&mut self, mut machine: Machine<'a>) -> Result<Machine<'a>, Stop> {
        self.bench.phase("download");
        self.lose_server(&mut machine, 10)?;
        self.relay.shut_after(u64::MAX);
        machine.send("stationmaster-agent update >/dev/null 2>&1 &")?;
        let half = self.payload_bytes / 2;
        let relay = &self.relay;
        self.bench.wait_until("half of the payload is on its way", TRANSFER, || {
            let carried = relay.carried_bytes();
            Ok(if carried >= half { Ok(()) } else { Err(format!("{carried} of {half} bytes")) })
        })?;
        // The next boot's agent goes on by itself; it shall not get far before somebody looks.
        relay.shut_after(0);
        let mut machine = self.lose_power(machine, "half of the download")?;
        self.lose_server(&mut machine, 90)?;
        self.relay.shut_after(u64::MAX);
        Ok(machine)
    }

    /// Lets the machine download until it has so much of the payload, and then no more.
    fn lose_server(&mut self, machine: &mut Machine<'_>, percent: u64) -> Result<(), Stop> {
        self.relay.shut_after(u64::MAX);
        self.reach_server(machine)?;
        let here = spooled_bytes(machine)?;
        let more = (self.payload_bytes * percent / 100).saturating_sub(here);
        self.relay.shut_after(self.relay.carried_bytes() + more);
        let ended = machine.run("stationmaster-agent update 2>&1", INSTALL)?;
        self.bench.note(&format!("at {percent} %: {}", ended.output.trim()));
        self.findings
            .require(!ended.is_success(), || format!("at {percent} %, a broken download counts as done"));
        self.findings.require(self.relay.is_shut(), || {
            format!("at {percent} %, it gave up before the server was gone: {}", ended.output.trim())
        });
        let now = spooled_bytes(machine)?;
        self.findings.require(now >= here, || {
            format!("at {percent} %, {now} bytes are kept of {here}: the download began again")
        });
        self.old_release_runs(machine, &format!("without the server at {percent} %"))
    }

    /// A guest's network may be up a little after its shell.
    fn reach_server(&self, machine: &mut Machine<'_>) -> Result<(), Stop> {
        let ask = format!("curl -sS -o /dev/null --max-time 5 http://10.0.2.2:{}/ 2>&1", self.relay.port());
        machine.wait_for("the way to the update server", &ask, Answer::is_success, BOOT).map(drop)
    }

    /// Power cuts while the passive slot is written.
    fn cut_writing(&mut self, mut machine: Machine<'a>) -> Result<Machine<'a>, Stop> {
        self.bench.phase("write");
        for percent in WRITTEN {
            self.reach_server(&mut machine)?;
            goes_on(&mut machine)?;
            machine.run(&written_at(self.next.manifest().usr_size_bytes * percent / 100), INSTALL)?;
            machine = self.lose_power(machine, &format!("{percent} % of the writing"))?;
        }
        Ok(machine)
    }

    /// Cuts the power, and looks at the machine once it is back.
    fn lose_power(&mut self, machine: Machine<'a>, at: &str) -> Result<Machine<'a>, Stop> {
        let mut machine = machine.cut_power().start()?;
        machine.next_shell()?;
        only_on_order(&mut machine)?;
        self.old_release_runs(&mut machine, &format!("after a power cut at {at}"))?;
        Ok(machine)
    }

    /// The old release runs, and nothing else could.
    fn old_release_runs(&mut self, machine: &mut Machine<'_>, when: &str) -> Result<(), Stop> {
        let state = HostState::of(machine.vm())?;
        let (old, new) = (self.bench.release().manifest(), self.next.manifest());
        self.findings.require(state.version == old.version, || format!("{when}, {} runs", state.version));
        self.findings.require(state.is_good(&old.os, old.version), || {
            format!("{when}, {} is not good: {}", old.version, state.entries.join(" "))
        });
        self.findings.require(state.entry(&new.os, new.version).is_none(), || {
            format!("{when}, the boot loader would try {}", state.entries.join(" "))
        });
        Ok(())
    }

    /// Without interruptions, it ends well: and what is said to be installed is, whenever the power goes.
    fn finish(&mut self, mut machine: Machine<'a>) -> Result<(), Stop> {
        self.bench.phase("finish");
        self.reach_server(&mut machine)?;
        goes_on(&mut machine)?;
        machine.wait_for(
            "the update is installed",
            "stationmaster-agent status --json",
            |answer| answer.output.contains("\"phase\": \"reboot-needed\""),
            INSTALL,
        )?;
        let carried = self.relay.carried_bytes();
        self.bench.note(&format!("{carried} bytes were sent for a payload of {}", self.payload_bytes));
        // Of what the power took, nothing was flushed; what the server's going interrupted is kept.
        self.findings.require(carried <= 2 * self.payload_bytes, || {
            format!(
                "{carried} bytes were sent for a payload of {}: it began again each time",
                self.payload_bytes
            )
        });
        let mut machine = machine.cut_power().start()?;
        let (_, state) = updating::comes_up(self.bench, &mut machine, &self.service, &self.next)?;
        self.findings.notes.push(format!("{} runs", state.version));
        Ok(())
    }
}

/// From now until the next boot the agent does what it is told, when it is told. The shell may be there before the boot partition.
fn only_on_order(machine: &mut Machine<'_>) -> Result<(), Stop> {
    let done = machine.run("systemctl stop boxcar-update.service && ls /efi", BOOT)?;
    match done.is_success() {
        true => Ok(()),
        false => Err(Stop::Broken(format!("the update agent cannot be stopped: {}", done.output.trim()))),
    }
}

/// The agent goes on where the last interruption left it, and nobody tells it to.
fn goes_on(machine: &mut Machine<'_>) -> Result<(), Stop> {
    machine.ask("systemctl start boxcar-update.service").map(drop)
}

/// A script that ends once something stands at this place of the passive slot. The agent writes from the beginning to the end.
fn written_at(bytes: u64) -> String {
    const LOOK_BYTES: u64 = 64 << 10;
    let looks = bytes / LOOK_BYTES;
    format!(
        "at=$(( $(cat {PASSIVE}) / {} + {looks} ))
         until dd if=/dev/vda bs={LOOK_BYTES} skip=$at count=1 status=none | tr -d '\\0' | grep -q -a .; do sleep 0.1; done",
        LOOK_BYTES / 512
    )
}

/// Bytes of the payload that the machine has.
fn spooled_bytes(machine: &mut Machine<'_>) -> Result<u64, Stop> {
    let answer = machine.ask("cat /var/lib/boxcar/update/payload-* 2>/dev/null | wc -c")?;
    answer
        .trim()
        .parse()
        .map_err(|_| Stop::Broken(format!("the machine does not tell what it downloaded: `{answer}`")))
}
