//! No room: whatever is cut short, nothing half-written stays and the older release is as it was.

use std::{env, path::Path};

use sm_host::process::{Invocation, Runner as _, SystemRunner};
use sm_model::exit;

use super::{Fixture, names_in, plan};
use crate::release::ReleaseError;

/// Tells the process started below whose files to release.
const FIXTURE_OF_CHILD: &str = "SM_TEST_FULL_DISK";
/// Less than the disk image, more than everything that is made before it: in units of 512 bytes.
const LARGEST_FILE_BLOCKS: &str = "2048";

/// Runs itself again under a limit on the size of files (`RLIMIT_FSIZE`), which writes meet as a full disk.
#[test]
fn a_write_that_finds_no_room_leaves_the_board_as_it_was() {
    if let Some(directory) = env::var_os(FIXTURE_OF_CHILD) {
        return publish_without_room(Path::new(&directory));
    }
    let mut fixture = Fixture::new("4893.2.0");
    fixture.publish().unwrap();
    let before = names_in(&fixture.board());
    let test = env::current_exe().unwrap();
    let limited = format!("trap '' XFSZ; ulimit -f {LARGEST_FILE_BLOCKS}; exec \"$0\" \"$@\"");
    let child = Invocation::new("/bin/sh")
        .args(["-c", &limited])
        .arg(test)
        .args(["--exact", "release::tests::full_disk::a_write_that_finds_no_room_leaves_the_board_as_it_was"])
        .env(FIXTURE_OF_CHILD, &fixture.directory)
        .env("TMPDIR", env::temp_dir());
    let output = SystemRunner.run(&child).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("1 passed"), "{said}");
    assert_eq!(names_in(&fixture.board()), before);
    fixture.plan = plan("4893.2.1");
    fixture.publish().unwrap();
}

fn publish_without_room(directory: &Path) {
    let error = Fixture::over(directory, "4893.2.1").publish().unwrap_err();
    // Several are written side by side: any of those that are too large may be the one that is told.
    assert!(
        matches!(&error, ReleaseError::Write { name, .. } if name.starts_with("boxcar_production_")),
        "{error:?}"
    );
    assert_eq!(error.exit_code(), exit::STORAGE);
    assert!(error.hint().unwrap().contains("make room"), "{:?}", error.hint());
}
