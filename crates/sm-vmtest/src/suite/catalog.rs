//! Every test of the suite: its name, its class, what its failure means for a release, what it asserts.
//!
//! Tests of what does not exist yet are listed with the reason: what nobody looked at is not good, and stays visible.

use std::{fmt, time::Duration};

use serde::Serialize;
use sha2::Digest as _;
use sm_model::{Sha256, test_report::TestId};

use super::{
    bench::Bench,
    boot::{
        interrupted::interrupted,
        itself::{itself, taken_back},
        journey::{Journey, Travellers},
        life, power_cut, tamper, update,
    },
    clone,
    external::External,
    facts::Facts,
    finding::Looked,
    lists::{Lists, matches},
    machine::{Limit, Machine},
    offline::{
        accounts::users_shells,
        artifacts::artifacts,
        forbidden::{banned_files, no_package_manager},
        identity::os_release,
        kernel::kernel_config,
        layout::layout,
        links::links_libs_shebangs,
        permissions::{capabilities, perms, suid_sgid},
        reproducible::reproducible,
        sbom::sbom_complete,
        size::size_budget,
        units::unit_presets,
    },
    room::Needs,
    shared::{
        cmdline::cmdline, files, hardening::hardening, listeners::listeners, readonly::readonly,
        verify::verify,
    },
};

/// What a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Artifacts only.
    Offline,
    /// A running machine that other tests look at too.
    Shared,
    /// A copy of a running machine of its own.
    Clone,
    /// A disk of its own, and real boots.
    Boot,
}

impl Class {
    /// What it is, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Class::Offline => "Offline: artifacts only",
            Class::Shared => "Shared: one running machine",
            Class::Clone => "Clone: copies of a running machine",
            Class::Boot => "Boot: own disks and real boots",
        }
    }
}

/// What a failure means for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// No release, and nobody may say otherwise.
    NeverWaive,
    /// No release, unless it is waived with a reason.
    Blocking,
    /// Nothing: it is told.
    Informing,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Offline => "offline",
            Class::Shared => "shared",
            Class::Clone => "clone",
            Class::Boot => "boot",
        })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Gate::NeverWaive => "never waived",
            Gate::Blocking => "blocking",
            Gate::Informing => "informing",
        })
    }
}

/// How a test is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Means {
    /// By looking at facts about the release.
    Look(fn(&Facts) -> Looked),
    /// By asking a machine that runs and must be left as it was.
    Shared(fn(&Bench<'_>, &mut Machine<'_>) -> Looked),
    /// By asking, and changing, a copy of a machine that runs; nobody else gets it.
    Clone(fn(&Bench<'_>, &mut Machine<'_>) -> Looked),
    /// By doing what it likes with a copy of a machine that runs, cutting its power among that: what it flushed survives.
    Owned(for<'a> fn(&Bench<'a>, Machine<'a>) -> Looked),
    /// By starting machines of its own.
    Boot(fn(&Bench<'_>) -> Looked),
    /// By a program of somebody else's, in a guest.
    External(&'static External),
    /// By looking back at what all machines of the run said.
    Rules,
    /// By looking at a day in the life of a machine that other tests travel with, too.
    Journey(Journey, Day),
    /// Not at all, for this reason.
    NotYet(&'static str),
}

/// A test that travels: what it looks at, and what it needs made before.
pub type Day = for<'a> fn(&Bench<'a>, &mut Travellers<'a>) -> Looked;

/// One test.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// What it needs.
    pub class: Class,
    /// What its failure means.
    pub gate: Gate,
    /// What it asserts, in one line.
    pub asserts: &'static str,
    /// How it is carried out.
    pub means: Means,
    /// Longest it may take.
    pub limit: Limit,
    /// What its machines take of this host.
    pub needs: Needs,
}

impl Test {
    /// Its name as the report holds it.
    pub fn id(&self) -> TestId {
        self.name.parse().expect("names in the catalog are test names: a test below parses each")
    }

    /// Why it cannot be carried out on hosts like this one, if so.
    pub fn obstacle(&self) -> Option<&'static str> {
        match self.means {
            Means::External(external) => external.wishes.cannot.as_deref(),
            _ => None,
        }
    }

    /// Whether it is carried out with machines.
    pub const fn needs_machines(&self) -> bool {
        match self.means {
            Means::Shared(_)
            | Means::Clone(_)
            | Means::Owned(_)
            | Means::Boot(_)
            | Means::Journey(..)
            | Means::External(_)
            | Means::Rules => true,
            Means::Look(_) | Means::NotYet(_) => false,
        }
    }

    /// Whether a release needs it passed.
    pub fn is_required(&self) -> bool {
        self.gate != Gate::Informing
    }
}

/// Longest that a test may take unless it says otherwise, on a guest's own processor. Far more than any needs: a test that takes
/// so long will not end.
const LIMIT: Limit = Limit::AtFullSpeed(Duration::from_secs(60));

const fn test(name: &'static str, class: Class, gate: Gate, asserts: &'static str, means: Means) -> Test {
    Test { name, class, gate, asserts, means, limit: LIMIT, needs: Needs::ONE }
}

const fn look(name: &'static str, gate: Gate, asserts: &'static str, look: fn(&Facts) -> Looked) -> Test {
    test(name, Class::Offline, gate, asserts, Means::Look(look))
}

const fn shared(
    name: &'static str,
    gate: Gate,
    asserts: &'static str,
    ask: fn(&Bench<'_>, &mut Machine<'_>) -> Looked,
) -> Test {
    test(name, Class::Shared, gate, asserts, Means::Shared(ask))
}

const fn cloned(
    name: &'static str,
    gate: Gate,
    asserts: &'static str,
    change: fn(&Bench<'_>, &mut Machine<'_>) -> Looked,
) -> Test {
    test(name, Class::Clone, gate, asserts, Means::Clone(change))
}

const fn boot(
    name: &'static str,
    gate: Gate,
    asserts: &'static str,
    start: fn(&Bench<'_>) -> Looked,
) -> Test {
    test(name, Class::Boot, gate, asserts, Means::Boot(start))
}

/// A test that boots a copy of a running machine.
const fn reboot(
    name: &'static str,
    gate: Gate,
    asserts: &'static str,
    change: fn(&Bench<'_>, &mut Machine<'_>) -> Looked,
) -> Test {
    test(name, Class::Boot, gate, asserts, Means::Clone(change))
}

const fn journey(name: &'static str, gate: Gate, asserts: &'static str, with: Journey, day: Day) -> Test {
    test(name, Class::Boot, gate, asserts, Means::Journey(with, day))
}

impl Test {
    /// The same test with this much time, on a guest's own processor.
    #[must_use]
    pub const fn within_secs(mut self, secs: u64) -> Self {
        self.limit = Limit::AtFullSpeed(Duration::from_secs(secs));
        self
    }

    /// The same test with other machines.
    #[must_use]
    pub const fn needing(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }
}

const fn not_yet(
    name: &'static str,
    class: Class,
    gate: Gate,
    asserts: &'static str,
    reason: &'static str,
) -> Test {
    test(name, class, gate, asserts, Means::NotYet(reason))
}

use Class::{Boot, Clone as Cloned, Offline};
use Gate::{Blocking, Informing, NeverWaive};
use Journey::{Life, Update};

/// Every test, in the order of running: what fails fastest comes first.
pub static ALL: &[Test] = &[
    look(
        "image.artifacts",
        NeverWaive,
        "every artifact is the one that the manifest names, and says the same",
        artifacts,
    ),
    look(
        "image.layout",
        NeverWaive,
        "ESP and two /usr slots; slot A is proven by its tree; the ESP boots it",
        layout,
    ),
    look("image.os-release", Blocking, "the image says of itself what the release record says", os_release),
    look("image.no-package-manager", NeverWaive, "no package manager, no compiler", no_package_manager),
    look(
        "image.banned-files",
        Blocking,
        "no leftovers, odd names, secrets; files of no package are reviewed",
        banned_files,
    ),
    look("image.suid-sgid", Blocking, "SUID and SGID files are the reviewed ones", suid_sgid),
    look("image.capabilities", Blocking, "files with capabilities are the reviewed ones", capabilities),
    look("image.perms", Blocking, "nobody but root may write, known groups, list of files true", perms),
    look(
        "image.links-libs-shebangs",
        Blocking,
        "links, libraries and interpreters lead somewhere",
        links_libs_shebangs,
    ),
    look(
        "image.users-shells",
        Blocking,
        "accounts, and files that let people in, are the reviewed ones",
        users_shells,
    ),
    look("image.unit-presets", Blocking, "what starts by itself is reviewed, and can start", unit_presets),
    look("image.kernel-config", Blocking, "kernel options are set, or unset, as reviewed", kernel_config),
    look("image.sbom-complete", NeverWaive, "every file in the bill, once, with its digest", sbom_complete),
    look("image.reproducible", Blocking, "a second composition gave the same bytes", reproducible),
    look("image.size-budget", Informing, "image and areas keep within their budgets", size_budget),
    not_yet(
        "image.cve-known",
        Offline,
        Blocking,
        "no known-exploited vulnerability",
        "no source of vulnerability data is read yet",
    ),
    journey(
        "boot.direct",
        NeverWaive,
        "kernel and initrd boot to multi-user.target, nothing failed",
        Life,
        life::direct,
    ),
    journey("boot.uefi", NeverWaive, "the disk image boots through UEFI firmware", Life, life::uefi),
    not_yet(
        "boot.secureboot",
        Boot,
        Blocking,
        "boots with enforced keys, refuses an altered kernel",
        "kernel images are not signed yet",
    ),
    shared("boot.cmdline", Blocking, "the running kernel has the reviewed command line", cmdline),
    journey("boot.second", Blocking, "the second boot provisions nothing again", Life, life::second),
    journey("boot.budget", Informing, "boots keep within their budgets of time and memory", Life, life::cost),
    boot(
        "boot.crash-recovery",
        Blocking,
        "a power cut at any time leaves a machine that boots",
        power_cut::recovers,
    )
    .within_secs(90),
    shared("usr.readonly", NeverWaive, "/usr cannot be written to, not even by root", readonly),
    shared(
        "image.suid-sgid.running",
        Blocking,
        "a running machine has the reviewed SUID and SGID files, no others",
        files::suid_sgid,
    ),
    shared(
        "image.perms.running",
        Blocking,
        "a running machine has nothing writable for all, but sticky directories",
        files::perms,
    ),
    shared("verity.verify", NeverWaive, "/usr is verified with the manifest's root hash", verify),
    reboot("verity.tamper", NeverWaive, "a flipped bit of /usr is never read", tamper::tamper),
    journey("update.apply", NeverWaive, "the previous release updates to this one", Update, update::applied),
    reboot("update.self", NeverWaive, "this release updates to its successor, from either slot", itself)
        .within_secs(100),
    reboot("update.rollback-auto", NeverWaive, "an update that does not work is taken back", taken_back)
        .within_secs(150),
    journey(
        "update.rollback-manual",
        Blocking,
        "an operator can return to the previous slot",
        Update,
        update::returned,
    ),
    cloned(
        "update.bad-signature",
        NeverWaive,
        "payloads that are not ours are refused",
        clone::bad_signature::refused,
    )
    .within_secs(120),
    test(
        "update.interrupted",
        Boot,
        Blocking,
        "an interrupted update is resumed or redone",
        Means::Owned(interrupted),
    )
    .within_secs(120),
    cloned("update.no-space", Blocking, "a full disk fails cleanly", clone::no_space::no_space)
        .within_secs(90),
    journey(
        "update.oldest-supported",
        Blocking,
        "the oldest supported release updates to this one",
        Update,
        update::oldest,
    ),
    not_yet(
        "update.rollout-honoured",
        Cloned,
        Blocking,
        "hosts outside a phase get no update",
        "the update server offers to all hosts of a group at once yet",
    ),
    journey(
        "provision.first-boot",
        NeverWaive,
        "configuration is applied once, on the first boot",
        Life,
        life::first_boot,
    ),
    journey("provision.reset", Blocking, "a reset wipes state and provisions anew", Life, life::reset),
    journey("identity.unique", NeverWaive, "two machines share no identity", Life, life::unique),
    not_yet(
        "sysext.merge",
        Cloned,
        Blocking,
        "signed system extensions merge, others do not",
        "the image has no system extensions yet",
    ),
    cloned("container.run", NeverWaive, "a container runs within its limits", clone::container::run),
    journey(
        "container.update-survive",
        Blocking,
        "containers survive update and rollback",
        Update,
        update::containers,
    ),
    not_yet(
        "k8s.single-node",
        Cloned,
        Blocking,
        "a pod runs on a node of its own",
        "the image has no Kubernetes yet",
    ),
    cloned(
        "net.dhcp-static-v6",
        Blocking,
        "DHCP, static and IPv6 addresses work",
        clone::addresses::addresses,
    ),
    shared("net.listeners", Blocking, "listening sockets are the reviewed ones", listeners),
    cloned("ssh.hardening", Blocking, "only keys log in, with modern algorithms", clone::ssh::hardening),
    cloned("time.sync", Blocking, "a wrong clock is corrected", clone::clock::sync),
    cloned(
        "journal.persist-and-limits",
        Blocking,
        "the journal survives a boot and keeps its size",
        clone::journal::persist_and_limits,
    ),
    shared("kernel.hardening", Blocking, "sysctls, lockdown and LSMs are as reviewed", hardening),
    test("console.rules", Boot, Blocking, "everything that machines said was looked through", Means::Rules),
    not_yet(
        "soak.idle-24h",
        Boot,
        Informing,
        "an idle day leaks nothing",
        "a run of the suite has an hour, not a day",
    ),
    not_yet(
        "upgrade.fleet-50",
        Boot,
        Informing,
        "fifty hosts follow a rollout",
        "the suite simulates no fleet yet",
    ),
];

/// Tests of these classes (all when empty) whose names match a pattern (all without one).
pub fn choose<'a>(classes: &'a [Class], only: Option<&'a str>) -> impl Iterator<Item = &'static Test> + 'a {
    choose_from(ALL.iter(), classes, only)
}

/// Of some tests, those of these classes (all when empty) whose names match a pattern (all without one).
pub fn choose_from<'a>(
    tests: impl Iterator<Item = &'static Test> + 'a,
    classes: &'a [Class],
    only: Option<&'a str>,
) -> impl Iterator<Item = &'static Test> + 'a {
    tests
        .filter(move |test| classes.is_empty() || classes.contains(&test.class))
        .filter(move |test| only.is_none_or(|pattern| matches(pattern, test.name)))
}

/// The sources of the tests: they decide what a pass means.
const SOURCES: &[&str] = &[
    include_str!("artifacts.rs"),
    include_str!("bench.rs"),
    include_str!("boot/budget.rs"),
    include_str!("boot/container.rs"),
    include_str!("boot/interrupted.rs"),
    include_str!("boot/itself.rs"),
    include_str!("boot/journey.rs"),
    include_str!("boot/life.rs"),
    include_str!("boot/power_cut.rs"),
    include_str!("boot/successor.rs"),
    include_str!("boot/tamper.rs"),
    include_str!("boot/traits.rs"),
    include_str!("boot/update.rs"),
    include_str!("boot/updating.rs"),
    include_str!("catalog.rs"),
    include_str!("elf.rs"),
    include_str!("clone/addresses.rs"),
    include_str!("clone/bad_signature.rs"),
    include_str!("clone/clock.rs"),
    include_str!("clone/container.rs"),
    include_str!("clone/journal.rs"),
    include_str!("clone/key_exchange.rs"),
    include_str!("clone/no_space.rs"),
    include_str!("clone/offers.rs"),
    include_str!("clone/ssh.rs"),
    include_str!("dirt.rs"),
    include_str!("external/play.rs"),
    include_str!("gather.rs"),
    include_str!("machine.rs"),
    include_str!("offline/accounts.rs"),
    include_str!("offline/artifacts.rs"),
    include_str!("offline/forbidden.rs"),
    include_str!("offline/identity.rs"),
    include_str!("offline/kernel.rs"),
    include_str!("offline/layout.rs"),
    include_str!("offline/links.rs"),
    include_str!("offline/permissions.rs"),
    include_str!("offline/reproducible.rs"),
    include_str!("offline/sbom.rs"),
    include_str!("offline/size.rs"),
    include_str!("offline/units.rs"),
    include_str!("scan.rs"),
    include_str!("shared/cmdline.rs"),
    include_str!("shared/hardening.rs"),
    include_str!("shared/listeners.rs"),
    include_str!("shared/readonly.rs"),
    include_str!("shared/verify.rs"),
];

/// Identity of a suite with these lists and external tests: attempts at the same image by the same suite are evidence for the same verdict.
pub fn suite_digest(lists: &Lists, external: &Sha256) -> Sha256 {
    let mut hash = sha2::Sha256::new_with_prefix(lists.sha256.as_bytes());
    hash.update(external.as_bytes());
    for source in SOURCES {
        hash.update(sha2::Sha256::digest(source));
    }
    Sha256(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_test_names_and_no_two_are_alike() {
        let names: BTreeSet<String> = ALL.iter().map(|test| test.id().to_string()).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn what_a_test_asserts_and_why_it_does_not_exist_fit_a_line() {
        for test in ALL {
            assert!(!test.asserts.is_empty() && test.asserts.len() <= 78, "{}", test.name);
            if let Means::NotYet(reason) = test.means {
                assert!(!reason.is_empty() && reason.len() <= 78, "{}", test.name);
            }
        }
    }

    #[test]
    fn choosing_goes_by_class_and_pattern() {
        let names = |classes: &[Class], only| choose(classes, only).map(|test| test.name).collect::<Vec<_>>();
        assert_eq!(names(&[], None).len(), ALL.len());
        assert_eq!(names(&[Class::Shared], Some("verity.*")), ["verity.verify"]);
        assert!(names(&[Class::Offline], Some("boot.*")).is_empty());
    }

    #[test]
    fn other_lists_make_another_suite() {
        let lists = crate::suite::sample::lists();
        let other = Lists { sha256: Sha256([1; 32]), ..lists.clone() };
        let none = Sha256([0; 32]);
        assert_ne!(suite_digest(&lists, &none), suite_digest(&other, &none));
        assert_ne!(suite_digest(&lists, &none), suite_digest(&lists, &Sha256([1; 32])));
    }
}
