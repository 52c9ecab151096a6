//! The program itself, on the same made-up host.

use sm_host::process::{Invocation, ProcessError, Runner, SystemRunner};

use crate::host::{Host, NEW_RELEASE};

fn program(host: &Host, args: &[&str]) -> Invocation {
    Invocation::new(env!("CARGO_BIN_EXE_stationmaster-agent"))
        .arg("--root")
        .arg(host.path("").as_os_str())
        .args(args)
}

/// The data that the program writes.
fn run(host: &Host, args: &[&str]) -> Result<String, ProcessError> {
    SystemRunner.run(&program(host, args)).map(|output| String::from_utf8(output.stdout).unwrap())
}

/// What the program says beside its data.
fn run_for_talk(host: &Host, args: &[&str]) -> String {
    String::from_utf8(SystemRunner.run(&program(host, args)).unwrap().stderr).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn status_and_why_tell_where_the_host_stands() {
    let host = Host::new();
    host.offer(&NEW_RELEASE, &NEW_RELEASE.payload);
    host.settle();
    let status = json(&run(&host, &["status", "--json"]).unwrap());
    assert_eq!(status["running"], "4900.0.0");
    assert_eq!(status["phase"], "reboot-needed");
    assert_eq!(status["target"], "4907.0.0");
    assert_eq!(status["kernel_images"][0], "boxcar_4907.0.0+3.efi");
    let words = run(&host, &["status"]).unwrap();
    assert!(words.contains("state         reboot-needed\n"), "{words}");
    let why = run(&host, &["why"]).unwrap();
    assert!(why.starts_with("4900.0.0 runs; 4907.0.0 is installed and waits for a reboot\n"), "{why}");
    assert!(why.ends_with("next: reboot\n"), "{why}");
}

#[test]
fn a_wrong_configuration_is_explained_and_status_still_works() {
    let host = Host::new();
    host.put("etc/boxcar/update.conf", "SERVER=ftp://x\n");
    let why = run(&host, &["why"]).unwrap();
    assert!(why.contains("update.conf:1: `SERVER`"), "{why}");
    assert!(why.contains("next: nothing, until the configuration is corrected"), "{why}");
    let refused = run(&host, &["check"]).unwrap_err().to_string();
    assert!(refused.contains("exit status: 3"), "{refused}");
}

#[test]
fn a_healthy_host_is_healthy_and_a_host_that_could_not_update_leaves_a_note() {
    let host = Host::new();
    assert_eq!(run(&host, &["health"]).unwrap(), "healthy\n");
    host.put("usr/share/boxcar/update-payload-key.pub.pem", "gone");
    let error = run(&host, &["health"]).unwrap_err();
    assert!(error.to_string().contains("exit status: 8"), "{error}");
    let note = std::fs::read_to_string(host.path("var/lib/boxcar/update/health-4900.0.0.json")).unwrap();
    assert_eq!(json(&note)["problems"][0]["subject"], "the payload key");
}

#[test]
fn an_update_by_hand_says_what_it_waits_for() {
    let host = Host::new();
    run(&host, &["rollback"]).unwrap();
    host.put("etc/boxcar/update.conf", "SERVER=http://127.0.0.1:1/\n");
    let said = run_for_talk(&host, &["update"]);
    assert!(
        said.contains("4900.0.0 was given up: no update is installed over the version that the next"),
        "{said}"
    );
    let why = run(&host, &["why"]).unwrap();
    assert!(why.contains("- 4900.0.0 was given up: no update"), "{why}");

    let host = Host::new();
    host.put("etc/boxcar/update.conf", "SERVER=http://127.0.0.1:1/\n");
    let kernel = |name: &str| host.path("efi/EFI/Linux").join(name);
    std::fs::rename(kernel("boxcar_4900.0.0.efi"), kernel("boxcar_4900.0.0+2-1.efi")).unwrap();
    let said = run_for_talk(&host, &["update"]);
    assert!(
        said.contains("4900.0.0 has not been marked good: no update is installed over the version to fall"),
        "{said}"
    );
    std::fs::rename(kernel("boxcar_4900.0.0+2-1.efi"), kernel("boxcar_4900.0.0+3.efi")).unwrap();
    let said = run_for_talk(&host, &["update"]);
    assert!(said.contains("this boot was not counted, so nobody marks its version good"), "{said}");
}

#[test]
fn a_host_of_another_kind_is_told_what_it_lacks() {
    let host = Host::new();
    std::fs::remove_file(host.path("usr/share/boxcar/release")).unwrap();
    for verb in ["status", "update", "health"] {
        let error = run(&host, &[verb]).unwrap_err().to_string();
        assert!(error.contains("this host is not one that updates itself"), "{verb}: {error}");
        assert!(error.contains("exit status: 3"), "{verb}: {error}");
    }
}

#[test]
fn a_reset_forgets_rejections() {
    let host = Host::new();
    let mut payload = NEW_RELEASE.payload.clone();
    let last = payload.len() - 1;
    payload[last] ^= 1;
    host.offer(&NEW_RELEASE, &payload);
    host.settle();
    assert_eq!(host.state().rejected.len(), 1);
    let forgotten = json(&run(&host, &["reset", "--version", "1.0.0", "--json"]).unwrap());
    assert_eq!(forgotten["forgotten"], 0);
    let forgotten = json(&run(&host, &["reset", "--json"]).unwrap());
    assert_eq!(forgotten["forgotten"], 1);
    assert_eq!(host.state().rejected, []);
}

#[test]
fn a_server_that_is_not_there_is_a_network_failure() {
    let host = Host::new();
    host.put("etc/boxcar/update.conf", "SERVER=http://127.0.0.1:1/\n");
    for verb in ["check", "update"] {
        let error = run(&host, &[verb]).unwrap_err().to_string();
        assert!(error.contains("exit status: 5"), "{verb}: {error}");
    }
}
