//! Requests as real clients send them, and as no client should.

use super::*;
use proptest::prelude::*;

/// The shape of update_engine 0.4.10's request: attribute order, open-and-close tags, the stray blank.
const UPDATE_ENGINE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" installsource="ondemandupdate" ismachine="1">
    <os version="Chateau" platform="CoreOS" sp="1.0.0_x86_64"></os>
    <app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" version="1.0.0" track="stable" bootid="{b191}" oem="qemu" oemversion="0.1" alephversion="1.0.0" machineid="deadbeef" machinealias="my-box" lang="en-US" board="amd64-usr" hardware_class="" delta_okay="false" >
        <ping active="1"></ping>
        <updatecheck></updatecheck>
        <event eventtype="3" eventresult="2" previousversion="0.0.0.0"></event>
    </app>
</request>"#;

fn app_id() -> AppId {
    "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap()
}

fn request(app: AppRequest) -> Request {
    Request {
        updater: "stationmaster-agent-0.1.0".to_owned(),
        install_source: InstallSource::Scheduler,
        os: Os { platform: "Boxcar".into(), version: "1".into(), sp: "1_x86_64".into(), arch: None },
        apps: vec![app],
    }
}

#[test]
fn a_request_of_update_engine_is_read_whole() {
    let request = Request::parse(UPDATE_ENGINE.as_bytes()).unwrap();
    assert_eq!(request.updater, "update_engine-0.4.10");
    assert_eq!(request.install_source, InstallSource::OnDemand);
    assert_eq!(request.os.sp, "1.0.0_x86_64");
    let [app] = &request.apps[..] else { panic!("one app") };
    assert_eq!(app.app_id.as_str(), "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}");
    assert_eq!((app.version.as_str(), app.track.as_str()), ("1.0.0", "stable"));
    assert_eq!(app.board.as_deref(), Some("amd64-usr"));
    assert_eq!(app.machine_id.as_deref(), Some("deadbeef"));
    assert!(app.ping && app.update_check && !app.multi_manifest_ok);
    let event = Event {
        previous_version: Some("0.0.0.0".to_owned()),
        ..Event::new(EventKind::UpdateComplete, EventResult::SuccessReboot)
    };
    assert_eq!(app.events, [event]);
}

#[test]
fn the_sparse_requests_of_ue_rs_and_of_the_pxe_stub_are_read() {
    let ue_rs = r#"<request protocol="3.0" version="ue-rs-0.0.0" installsource="ondemand"><os sp="_x86_64"/>
        <app appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}" version="1.0.0" track="stable"
        machineid="a"><updatecheck/></app></request>"#;
    let request = Request::parse(ue_rs.as_bytes()).unwrap();
    assert!(request.apps[0].update_check && !request.apps[0].ping);
    assert_eq!(request.install_source, InstallSource::OnDemand);

    let stub = r#"<request protocol="3.0"><app appid="x" unknown="1"><wonder/><event eventtype="3" eventresult="2"/></app></request>"#;
    let request = Request::parse(stub.as_bytes()).unwrap();
    assert_eq!((request.updater.as_str(), request.apps[0].version.as_str()), ("", ""));
    assert_eq!(request.apps[0].events.len(), 1);
}

#[test]
fn an_empty_previous_version_is_kept_apart_from_none() {
    let xml = r#"<request protocol="3.0"><app appid="x"><event eventtype="3" eventresult="2" previousversion=""/></app></request>"#;
    assert_eq!(
        Request::parse(xml.as_bytes()).unwrap().apps[0].events[0].previous_version.as_deref(),
        Some("")
    );
}

#[test]
fn our_own_request_keeps_its_bytes() {
    let mut app = AppRequest::new(app_id(), "4900.0.0", "alpha");
    app.machine_id = Some("0123456789abcdef0123456789abcdef".to_owned());
    app.board = Some("amd64-usr".to_owned());
    app.ping = true;
    app.update_check = true;
    app.events = vec![Event::failure(44, "unit `a.service` failed\nlast line")];
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="stationmaster-agent-0.1.0" updaterversion="stationmaster-agent-0.1.0" installsource="scheduler" ismachine="1">
 <os version="1" platform="Boxcar" sp="1_x86_64"/>
 <app appid="{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}" version="4900.0.0" track="alpha" machineid="0123456789abcdef0123456789abcdef" lang="en-US" board="amd64-usr" hardware_class="" delta_okay="false">
  <ping active="1"/>
  <updatecheck/>
  <event eventtype="3" eventresult="0" errorcode="44" reason="unit `a.service` failed&#10;last line"/>
 </app>
</request>
"#;
    assert_eq!(String::from_utf8(request(app).to_bytes()).unwrap(), expected);
}

#[test]
fn requests_that_cannot_be_meant_are_refused_with_the_attribute_named() {
    let with_app = |app: &str| format!(r#"<request protocol="3.0">{app}</request>"#);
    for (xml, named) in [
        ("<response/>".to_owned(), "`<request>`"),
        ("<request/>".to_owned(), "`protocol`"),
        (r#"<request protocol="2.0"/>"#.to_owned(), "`protocol`"),
        (with_app(""), "at least one `<app>`"),
        (with_app("<app/>"), "`appid`"),
        (with_app(r#"<app appid="a/../b"/>"#), "`appid`"),
        (with_app(r#"<app appid="x" machineid="a&#10;b"/>"#), "`machineid`"),
        (with_app(&format!(r#"<app appid="x" track="{}"/>"#, "t".repeat(257))), "`track`"),
        (with_app(r#"<app appid="x"><event eventresult="1"/></app>"#), "`eventtype`"),
        (with_app(r#"<app appid="x"><event eventtype="-1" eventresult="1"/></app>"#), "`eventtype`"),
        (
            with_app(r#"<app appid="x"><event eventtype="3" eventresult="0" errorcode="1e9"/></app>"#),
            "`errorcode`",
        ),
    ] {
        let error = Request::parse(xml.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(named), "{xml}: {error}");
    }
}

#[test]
fn a_reason_is_cut_between_characters() {
    let event = Event::failure(44, &"é".repeat(4000));
    assert_eq!(event.reason.unwrap().len(), Event::MAX_REASON_LEN);
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(
        track in "[a-z0-9.-]{1,20}", reason in "\\PC{0,40}", alias in proptest::option::of("\\PC{1,20}"),
        kind in 0..900u16, result in 0..12u16, code in proptest::option::of(any::<i64>()), flags: [bool; 3],
    ) {
        let mut app = AppRequest::new(app_id(), "1.0.0", track);
        app.machine_alias = alias;
        [app.ping, app.update_check, app.multi_manifest_ok] = flags;
        app.events = vec![Event {
            kind: EventKind::from_number(kind),
            result: EventResult::from_number(result),
            error_code: code,
            previous_version: Some(String::new()),
            reason: Some(reason),
        }];
        let request = request(app);
        prop_assert_eq!(Request::parse(&request.to_bytes()).unwrap(), request);
    }
}
