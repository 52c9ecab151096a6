//! A Boxcar host below a temporary directory, with a boot loader that picks what systemd-boot would pick.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use sm_agent::{Agent, Error, Root, Turn, World, disk::Disk, fault::Fuse, store::Lock};
use sm_host::{
    clock::FakeClock,
    fetch::{Answer, FakeFetch},
    process::{FakeRunner, Output},
    progress::Silent,
};
use sm_image::{
    Guid,
    boot_entry::BootEntry,
    gpt::{Attributes, NewPartition, Table, kinds},
    slots::empty_guid,
    uki,
    verity::{self, RootHash},
};
use sm_model::{Arch, Version};
use sm_rollout::{
    agent::{Action, Outcome, State},
    omaha::{AppResponse, AppStatus, InstallSource, OfferedRelease, Request, Response, UpdateCheck},
};

use crate::release::{KEYS, Release};

pub(crate) const OLD: &str = "4900.0.0";
pub(crate) const NEW: &str = "4907.0.0";
pub(crate) const SERVER: &str = "http://server/v1/update/";
pub(crate) const PAYLOAD: &str = "http://server/alpha/amd64-usr/boxcar_production_update.gz";
const APP_ID: &str = "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}";
const MIB: u64 = 1 << 20;

/// Building a release takes longer than an update: tests share them.
pub(crate) static OLD_RELEASE: LazyLock<Release> = LazyLock::new(|| Release::sound(OLD));
pub(crate) static NEW_RELEASE: LazyLock<Release> = LazyLock::new(|| Release::sound(NEW));
pub(crate) static OLDER_RELEASE: LazyLock<Release> = LazyLock::new(|| Release::sound("4893.0.0"));

pub(crate) struct Host {
    dir: tempfile::TempDir,
    pub(crate) server: FakeFetch,
    pub(crate) clock: FakeClock,
    pub(crate) runner: FakeRunner,
}

impl Host {
    /// Runs [`OLD_RELEASE`] from slot A; slot B holds [`OLDER_RELEASE`], which was good once.
    pub(crate) fn new() -> Self {
        let host = Host {
            dir: tempfile::tempdir().unwrap(),
            server: FakeFetch::new(),
            clock: FakeClock::new("2026-11-23T00:00:00Z".parse().unwrap()),
            runner: FakeRunner::new(|_| Ok(Output { stdout: Vec::new(), stderr: Vec::new() })),
        };
        host.put("usr/share/boxcar/update.conf", format!("GROUP=alpha\nSERVER={SERVER}\n"));
        host.put("usr/share/boxcar/update-payload-key.pub.pem", KEYS[0].public().to_pem().unwrap());
        host.put("etc/machine-id", format!("{}\n", "0a".repeat(16)));
        host.put("dev/urandom", [7; 8]);
        host.sysfs();
        host.lay_out_disk();
        host.put_kernel("boxcar_4893.0.0.efi", &OLDER_RELEASE);
        host.put_kernel("boxcar_4900.0.0.efi", &OLD_RELEASE);
        host.run_version(&OLD_RELEASE, [2, 3]);
        host
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn put(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn put_kernel(&self, name: &str, release: &Release) {
        self.put(&format!("efi/EFI/Linux/{name}"), &release.kernel);
    }

    fn sysfs(&self) {
        for number in 1..=5 {
            let real = self.path(&format!("sys/devices/block/vda/vda{number}"));
            fs::create_dir_all(&real).unwrap();
            fs::write(real.join("partition"), format!("{number}\n")).unwrap();
            fs::create_dir_all(self.path("sys/class/block")).unwrap();
            link(&real, &self.path(&format!("sys/class/block/vda{number}")));
        }
        self.put("sys/class/block/dm-0/dm/name", "usr\n");
    }

    fn lay_out_disk(&self) {
        let disk_guid = Guid::from_u128(1);
        let part = |kind, guid, label: &str, size_bytes| NewPartition {
            kind,
            guid,
            label: label.parse().unwrap(),
            attributes: Attributes::READ_ONLY,
            size_bytes,
        };
        let (usr, tree) = (kinds::usr(Arch::Amd64), kinds::usr_verity(Arch::Amd64));
        let (old, older) = (OLD_RELEASE.root, OLDER_RELEASE.root);
        let partitions = [
            part(kinds::ESP, Guid::from_u128(2), "ESP", MIB),
            part(usr, old.data_guid(), "boxcar_4900.0.0", 3 * MIB),
            part(tree, old.tree_guid(), "boxcar_4900.0.0_v", MIB),
            part(usr, older.data_guid(), "boxcar_4893.0.0", 3 * MIB),
            part(tree, older.tree_guid(), "boxcar_4893.0.0_v", MIB),
        ];
        assert_ne!(empty_guid(disk_guid, 4), older.data_guid());
        let size = Table::smallest_disk_bytes(&partitions) + MIB;
        let table = Table::lay_out(disk_guid, size, &partitions).unwrap();
        self.put("dev/vda", []);
        let mut disk = OpenOptions::new().write(true).open(self.disk()).unwrap();
        disk.set_len(size).unwrap();
        table.write_new(&mut disk).unwrap();
        for (number, bytes) in
            [(2, &OLD_RELEASE.usr), (3, &OLD_RELEASE.tree), (4, &OLDER_RELEASE.usr), (5, &OLDER_RELEASE.tree)]
        {
            let at = table.partition(number).unwrap().byte_range().start;
            disk.seek(SeekFrom::Start(at)).unwrap();
            disk.write_all(bytes).unwrap();
        }
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.path("dev/vda")
    }

    /// What the running system looks like once `release` has booted from these partitions.
    fn run_version(&self, release: &Release, partitions: [u32; 2]) {
        let version = release.version;
        self.put("usr/lib/os-release", format!("ID=boxcar\nNAME=\"Boxcar Linux\"\nVERSION_ID={version}\n"));
        self.put(
            "usr/share/boxcar/release",
            format!(
                "BOXCAR_RELEASE_VERSION={version}\nBOXCAR_RELEASE_BOARD=amd64-usr\nBOXCAR_RELEASE_APPID={APP_ID}\n"
            ),
        );
        self.put("proc/cmdline", format!("usrhash={} rw quiet\n", release.root));
        let boot_id = fs::read_to_string(self.path("proc/sys/kernel/random/boot_id")).unwrap_or_default();
        self.put("proc/sys/kernel/random/boot_id", format!("{}x\n", boot_id.trim()));
        let slaves = self.path("sys/class/block/dm-0/slaves");
        let _none_at_first = fs::remove_dir_all(&slaves);
        fs::create_dir_all(&slaves).unwrap();
        for number in partitions {
            let real = self.path(&format!("sys/devices/block/vda/vda{number}"));
            link(&real, &slaves.join(format!("vda{number}")));
        }
    }

    /// The new version runs from slot B; its kernel image is named as the boot loader left it.
    pub(crate) fn boot_new(&self, name: &str) {
        self.rename_new_kernel(name);
        self.run_version(&NEW_RELEASE, [4, 5]);
    }

    /// The old version runs again; the new one's kernel image is named as the boot loader left it.
    pub(crate) fn boot_old(&self, name: &str) {
        self.rename_new_kernel(name);
        self.run_version(&OLD_RELEASE, [2, 3]);
    }

    /// The version before the old one runs again.
    pub(crate) fn boot_older(&self) {
        self.run_version(&OLDER_RELEASE, [4, 5]);
    }

    fn rename_new_kernel(&self, name: &str) {
        let current = self.entries().into_iter().find(|entry| entry.version().to_string() == NEW).unwrap();
        let dir = self.path("efi/EFI/Linux");
        fs::rename(dir.join(current.to_string()), dir.join(name)).unwrap();
    }

    pub(crate) fn world(&self) -> World<'_> {
        World { fetch: &self.server, runner: &self.runner, clock: &self.clock, progress: &Silent }
    }

    pub(crate) fn root(&self) -> Root {
        Root::at(self.dir.path())
    }

    pub(crate) fn agent(&self) -> Agent<'_> {
        self.agent_with(Fuse::solid())
    }

    pub(crate) fn agent_with(&self, fuse: Fuse) -> Agent<'_> {
        Agent::with_fuse(&self.root(), self.world(), InstallSource::Scheduler, fuse).unwrap()
    }

    /// The server offers a release, with these bytes as its payload.
    pub(crate) fn offer(&self, release: &Release, payload: &[u8]) {
        self.answer(Some(release.offer_of(payload)));
        self.server.serve(PAYLOAD, Answer::Bytes(payload.to_vec()));
    }

    pub(crate) fn answer(&self, offer: Option<OfferedRelease>) {
        self.server.serve(SERVER, Answer::Bytes(self.response(offer)));
    }

    /// What the server says when it takes a request.
    pub(crate) fn response(&self, offer: Option<OfferedRelease>) -> Vec<u8> {
        let app = AppResponse {
            app_id: APP_ID.parse().unwrap(),
            status: AppStatus::Ok,
            ping: true,
            events: 1,
            update_check: Some(UpdateCheck { poll_interval_secs: None, offer }),
        };
        Response { server: "test".to_owned(), day_start_secs: 0, apps: vec![app] }.to_bytes()
    }

    pub(crate) fn state(&self) -> State {
        self.agent().state().unwrap()
    }

    /// Hurries, then takes turns until there is nothing to do at once; returns what was done.
    pub(crate) fn settle(&self) -> Vec<(Action, Option<Outcome>)> {
        let agent = self.agent();
        let lock = agent.store().lock().unwrap();
        agent.change(&lock, |state, now| state.hurry(now)).unwrap();
        settle(&agent, &lock).unwrap()
    }

    /// Every event that the server was told: type, result, code; routine ones left out.
    pub(crate) fn told(&self) -> Vec<(u16, u16, Option<i64>)> {
        self.events()
            .iter()
            .map(|event| (event.kind.number(), event.result.number(), event.error_code))
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<sm_rollout::omaha::Event> {
        let posts = self.server.asked().into_iter().filter_map(|request| request.body);
        let requests = posts.map(|body| Request::parse(&body.bytes).unwrap());
        requests
            .flat_map(|request| request.apps.into_iter().flat_map(|app| app.events))
            .filter(|event| !event.is_routine())
            .collect()
    }

    pub(crate) fn entries(&self) -> Vec<BootEntry> {
        let names = fs::read_dir(self.path("efi/EFI/Linux")).unwrap();
        let mut entries: Vec<BootEntry> =
            names.filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().ok()).collect();
        entries.sort_by(BootEntry::preference);
        entries
    }

    /// The version that a boot loader would start now. Whatever it could start must be whole: every kernel image's root hash
    /// must lead to partitions whose every block is verified.
    pub(crate) fn boots(&self) -> Version {
        let entries = self.entries();
        for entry in &entries {
            let root = self.assert_whole(entry);
            if entry.version() == OLD_RELEASE.version {
                assert_eq!(root, OLD_RELEASE.root);
            }
        }
        entries[0].version()
    }

    fn assert_whole(&self, entry: &BootEntry) -> RootHash {
        let mut kernel = File::open(self.path("efi/EFI/Linux").join(entry.to_string())).unwrap();
        let root = uki::Image::read(&mut kernel).unwrap().usrhash().unwrap();
        let table = Disk::at(self.disk(), Fuse::solid()).table().unwrap().table().clone();
        let read = |guid: Guid| {
            let (_, partition) = table
                .partitions()
                .find(|(_, partition)| partition.guid == guid)
                .unwrap_or_else(|| panic!("{entry} has no partition {guid}"));
            let range = partition.byte_range();
            let bytes = fs::read(self.disk()).unwrap();
            bytes[range.start as usize..range.end as usize].to_vec()
        };
        let (data, tree) = (read(root.data_guid()), read(root.tree_guid()));
        let verified = verity::verify(&mut &data[..], &mut std::io::Cursor::new(tree), root);
        verified.unwrap_or_else(|error| panic!("{entry} would not start: {error}"));
        root
    }
}

/// Takes turns until there is nothing to do at once.
pub(crate) fn settle(agent: &Agent<'_>, lock: &Lock) -> Result<Vec<(Action, Option<Outcome>)>, Error> {
    let mut done = Vec::new();
    loop {
        match agent.turn(lock)? {
            Turn::Acted(action, outcome) => done.push((action, outcome)),
            Turn::Wait(_) | Turn::RebootDue => return Ok(done),
        }
    }
}

fn link(to: &Path, at: &Path) {
    std::os::unix::fs::symlink(to, at).unwrap();
}
