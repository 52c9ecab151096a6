//! Publishing that dies at any moment goes on where it was, and two coordinators at once do nothing twice.
//!
//! The one that dies is this test binary, run again for one test: it ends at a step of its progress without another instruction, as
//! by SIGKILL.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use sm_host::{
    clock::FakeClock,
    process::{Invocation, Runner, SystemRunner},
    progress::{Progress, Silent, Task, Unit},
};
use sm_model::{
    Artifact, ArtifactKind, Manifest, Sha256, Timestamp,
    evidence::Candidate,
    release_event::{Envelope, EvidenceEvent, TrainEvent},
};
use sm_release::{proof::digest_bytes, train::Command};
use sm_store::{EventLog, Until};

use super::*;
use crate::{
    context::Out,
    scenario::{script::Script, stage::Stage},
};

const PLACE: &str = "STATIONMASTER_TEST_PLACE";
const FUSE: &str = "STATIONMASTER_TEST_FUSE";

const BEFORE: &str = "\
* people: alice (build, notes), bob (test), carol (security), dan (publish)
* released alpha 4890.0.0 on 2026-11-18
@ 2026-12-02 08:00
dan> release open 2026-12-02 alpha
";

const AFTER: &str = "\
* tested alpha: all pass
* compared alpha
* notes accepted for alpha
dan> go open
alice> vote go
bob> vote go
carol> vote go
@ 2026-12-02 11:00
dan> go close
dan> release step done P4 T2 N2 N3 R2 R3 --evidence 'looked at'
dan> release acknowledge
alice> release acknowledge
";

fn noon() -> Timestamp {
    "2026-12-02T12:00:00Z".parse().unwrap()
}

fn play(stage: &mut Stage, script: &str) {
    for act in Script::parse(script).unwrap().acts {
        let said = stage.play(&act).unwrap();
        assert!(!said.contains("[exit"), "{act:?}: {said}");
    }
}

/// Lays a release where composing would: one file, and the manifest that names it.
fn stage_release(root: &Path, version: &str) -> Sha256 {
    let payload = b"payload".as_slice();
    let dir = root.join("staged/alpha/amd64-usr").join(version);
    fs::create_dir_all(&dir).unwrap();
    let artifact = Artifact::sample(
        "update.gz".parse().unwrap(),
        ArtifactKind::Payload,
        payload.len() as u64,
        digest_bytes(payload),
    );
    let manifest = Manifest::sample(version.parse().unwrap(), vec![artifact]);
    let text = serde_json::to_vec(&manifest).unwrap();
    fs::write(dir.join("update.gz"), payload).unwrap();
    fs::write(dir.join("manifest.json"), &text).unwrap();
    digest_bytes(&text)
}

/// A release that everything speaks for, just before it is published.
fn decided() -> Stage {
    let mut stage = Stage::set(None).unwrap();
    play(&mut stage, BEFORE);
    let manifest = stage_release(&stage.path(""), "4902.0.0");
    let composed = EvidenceEvent::Composed {
        train: "2026-12-02".parse().unwrap(),
        channel: Channel::Alpha,
        board: "amd64-usr".parse().unwrap(),
        candidate: Candidate {
            manifest,
            version: "4902.0.0".parse().unwrap(),
            usr_size_bytes: 4096,
            packages: [].into(),
        },
    };
    stage.with_project("system", |project| project.ask_once(Command::Record(composed))).unwrap();
    play(&mut stage, AFTER);
    stage
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(fs::copy(entry.path(), target))
        }
    }
}

fn publish(place: &Path, progress: &dyn Progress) -> anyhow::Result<String> {
    let path = |name: &str| place.join(name).display().to_string();
    let mut line: Vec<String> = ["release", "publish", "--as", "dan"].map(str::to_owned).into();
    for (flag, name) in
        [("--db", "project.db"), ("--rules", "rules"), ("--staged", "staged"), ("--root", "public")]
    {
        line.extend([flag.to_owned(), path(name)]);
    }
    let written = RefCell::new(String::new());
    let clock = FakeClock::new(noon());
    crate::run_line(
        &line,
        &Context { json: false, progress, clock: &clock, out: Out::Text(&written), chat: None },
    )?;
    Ok(written.take())
}

/// Every file below a folder with its bytes, links with where they lead.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(entry.file_name().into(), target.to_string_lossy().into_owned().into_bytes());
        } else if kind.is_dir() {
            found.extend(tree(&path).into_iter().map(|(p, b)| (Path::new(&entry.file_name()).join(p), b)));
        } else {
            found.insert(entry.file_name().into(), fs::read(&path).unwrap());
        }
    }
    found
}

/// How often publishing began, and how often it ended.
fn n_published(place: &Path) -> (usize, usize) {
    let log = EventLog::open(&place.join("project.db")).unwrap();
    log.verify().unwrap();
    let count = |n: &mut (usize, usize), entry: &sm_store::Entry<Envelope>| match &entry.event.body {
        sm_model::release_event::Event::Train(TrainEvent::PublishBegun { .. }) => n.0 += 1,
        sm_model::release_event::Event::Train(TrainEvent::Published { .. }) => n.1 += 1,
        _ => {}
    };
    log.fold(Until::Newest, (0, 0), count).unwrap().0
}

/// Ends this process at the step of that number.
#[derive(Clone)]
struct Fuse(Arc<AtomicUsize>);

impl Fuse {
    fn burn(&self) {
        if self.0.fetch_sub(1, Ordering::SeqCst) == 0 {
            std::process::abort();
        }
    }
}

impl Progress for Fuse {
    fn begin(&self, _what: &str, _unit: Unit, _total: Option<u64>) -> Box<dyn Task> {
        self.burn();
        Box::new(self.clone())
    }

    fn note(&self, _text: &str) {}
}

impl Task for Fuse {
    fn advance(&self, _n: u64) {
        self.burn();
    }

    fn detail(&self, _text: &str) {}
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.burn();
    }
}

/// Publishes until the fuse that it was given has burnt down; without one, to the end.
#[test]
fn a_release_is_published_while_the_fuse_burns() {
    let own = std::env::var_os(PLACE).is_none().then(decided);
    let place = own.as_ref().map_or_else(|| PathBuf::from(std::env::var_os(PLACE).unwrap()), |s| s.path(""));
    let n_steps = std::env::var(FUSE).map_or(usize::MAX, |text| text.parse().unwrap());
    let fuse = std::mem::ManuallyDrop::new(Fuse(Arc::new(AtomicUsize::new(n_steps))));
    publish(&place, &*fuse).unwrap();
    assert_eq!(n_published(&place), (1, 1));
}

/// Publishes elsewhere; whether that process came to the end.
fn dies_after(place: &Path, n_steps: usize) -> bool {
    let child = Invocation::new(std::env::current_exe().unwrap())
        .args(["--exact", "release::interrupted::a_release_is_published_while_the_fuse_burns"])
        .env(PLACE, place)
        .env(FUSE, n_steps.to_string());
    SystemRunner.run(&child).is_err()
}

#[test]
fn a_publish_that_dies_at_any_step_goes_on_and_does_nothing_twice() {
    let stage = decided();
    let whole = tempfile::tempdir().unwrap();
    copy(&stage.path(""), whole.path());
    publish(whole.path(), &Silent).unwrap();
    let expected = tree(&whole.path().join("public"));

    let mut n_deaths = 0;
    loop {
        let place = tempfile::tempdir().unwrap();
        copy(&stage.path(""), place.path());
        if !dies_after(place.path(), n_deaths) {
            break;
        }
        n_deaths += 1;
        publish(place.path(), &Silent).unwrap();
        assert_eq!(tree(&place.path().join("public")), expected, "after {n_deaths} steps");
        assert_eq!(n_published(place.path()), (1, 1), "after {n_deaths} steps");
        let again = publish(place.path(), &Silent).unwrap_err();
        assert!(format!("{again:#}").contains("is published"), "{again:#}");
    }
    assert!(n_deaths >= 8, "{n_deaths}: two files are copied, and all is read back");
}

#[test]
fn bytes_that_are_public_and_not_on_record_are_recorded_and_not_copied() {
    let stage = decided();
    let place = stage.path("");
    let staged =
        sm_compose::release::ReleaseDir::open(&place.join("staged/alpha/amd64-usr/4902.0.0")).unwrap();
    sm_pipeline::publish::publish(&staged, &place.join("public"), &Silent).unwrap();
    fs::remove_file(place.join("staged/alpha/amd64-usr/4902.0.0/update.gz")).unwrap();
    publish(&place, &Silent).unwrap();
    assert_eq!(n_published(&place), (1, 1));
}

#[test]
fn what_died_between_its_two_compositions_is_not_composed_yet() {
    let place = tempfile::tempdir().unwrap();
    let manifest = stage_release(place.path(), "4902.0.0");
    let release =
        sm_compose::release::ReleaseDir::open(&place.path().join("staged/alpha/amd64-usr/4902.0.0")).unwrap();
    assert!(!run::is_composed_twice(&release).unwrap());
    let folder =
        crate::evidence::folder(release.path(), release.manifest().version, &manifest, None).unwrap();
    crate::evidence::keep_second(&folder, release.manifest()).unwrap();
    assert!(run::is_composed_twice(&release).unwrap());
}

#[test]
fn two_coordinators_at_once_lose_nothing_and_share_no_number() {
    let stage = decided();
    let open = |who: &str| {
        for n in 0..8 {
            let args = stage.project_args(who).unwrap();
            let mut project = Project::open_at(&args, Until::Newest, noon()).unwrap();
            let title = format!("{who} {n}");
            let command = Command::OpenBlocker { title, channels: vec![Channel::Beta], issue: String::new() };
            while let Err(error) = project.ask_once(command.clone()) {
                assert!(error.to_string().contains("quicker"), "{error:#}");
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| open("dan"));
        scope.spawn(|| open("alice"));
    });
    let args = stage.project_args("bob").unwrap();
    let project = Project::open_at(&args, Until::Newest, noon()).unwrap();
    let numbers: Vec<String> = project.state.blockers.keys().map(ToString::to_string).collect();
    let expected: Vec<String> = (1..=16).map(|n| format!("#{n}")).collect();
    assert_eq!(numbers, expected);
}
