//! Responses that clients accept, and offers that no host may take.

use super::*;
use proptest::prelude::*;

const SHA256_BASE64: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn offer() -> OfferedRelease {
    OfferedRelease {
        version: "4900.0.1".parse().unwrap(),
        urls: vec!["http://10.0.2.2:8000/alpha/amd64-usr/4900.0.1".parse().unwrap()],
        payload: OfferedPackage {
            name: "boxcar_production_update.gz".parse().unwrap(),
            size_bytes: 123_456_789,
            sha256: Sha256([1; 32]),
        },
        extras: Vec::new(),
    }
}

fn response(offer: Option<OfferedRelease>) -> Response {
    Response {
        server: "stationmaster".to_owned(),
        day_start_secs: 0,
        apps: vec![AppResponse {
            app_id: "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap(),
            status: AppStatus::Ok,
            ping: true,
            events: 1,
            update_check: Some(UpdateCheck { poll_interval_secs: Some(60), offer }),
        }],
    }
}

/// update_engine and ue-rs were run against exactly this shape: slash at the end of the codebase, digest in hexadecimal
/// on the package and in base64 on the action, `required` on the package.
#[test]
fn an_offer_keeps_its_bytes() {
    let expected = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<response protocol="3.0" server="stationmaster">
 <daystart elapsed_seconds="0"/>
 <app appid="{{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}}" status="ok">
  <ping status="ok"/>
  <event status="ok"/>
  <updatecheck status="ok" PollInterval="60">
   <urls>
    <url codebase="http://10.0.2.2:8000/alpha/amd64-usr/4900.0.1/"/>
   </urls>
   <manifest version="4900.0.1">
    <packages>
     <package name="boxcar_production_update.gz" hash_sha256="{}" size="123456789" required="true"/>
    </packages>
    <actions>
     <action event="postinstall" sha256="{SHA256_BASE64}" needsadmin="false" IsDeltaPayload="false" DisablePayloadBackoff="true" MaxFailureCountPerUrl="1"/>
    </actions>
   </manifest>
  </updatecheck>
 </app>
</response>
"#,
        "01".repeat(32)
    );
    assert_eq!(String::from_utf8(response(Some(offer())).to_bytes()).unwrap(), expected);
}

#[test]
fn no_update_keeps_its_bytes() {
    let text = String::from_utf8(response(None).to_bytes()).unwrap();
    assert!(text.contains(r#"<updatecheck status="noupdate" PollInterval="60"/>"#), "{text}");
}

#[test]
fn the_smallest_offer_that_update_engine_takes_is_taken() {
    let xml = format!(
        r#"<response protocol="3.0"><app appid="x" status="ok"><updatecheck status="ok"><urls><url codebase="http://h/"/></urls><manifest version="2.0.0"><packages><package name="x.gz" size="7"/></packages><actions><action event="postinstall" sha256="{SHA256_BASE64}"/></actions></manifest></updatecheck></app></response>"#
    );
    let response = Response::parse(xml.as_bytes()).unwrap();
    let offer = response.apps[0].update_check.as_ref().unwrap().offer.as_ref().unwrap();
    assert_eq!((offer.payload.size_bytes, offer.payload.sha256), (7, Sha256([1; 32])));
    assert_eq!(offer.urls[0].join(&offer.payload.name).as_str(), "http://h/x.gz");
}

/// What a hostile server, or somebody between, might change in an offer.
#[test]
fn hostile_offers_are_refused_with_the_attribute_named() {
    let honest = String::from_utf8(response(Some(offer())).to_bytes()).unwrap();
    let manifest = &honest[honest.find("<manifest").unwrap()..honest.find("</manifest>").unwrap() + 11];
    for (from, to, named) in [
        ("boxcar_production_update.gz", "../../etc/shadow", "`name`"),
        ("boxcar_production_update.gz", "/etc/shadow", "`name`"),
        ("boxcar_production_update.gz", "", "`name`"),
        ("\"123456789\"", "\"0\"", "`size`"),
        ("\"123456789\"", "\"-1\"", "`size`"),
        ("\"123456789\"", "\"18446744073709551616\"", "`size`"),
        ("\"123456789\"", "\"4294967297\"", "`size`"),
        ("http://10.0.2.2:8000", "file://", "`codebase`"),
        ("/amd64-usr/", "/../", "`codebase`"),
        (SHA256_BASE64, "AQEB", "`sha256`"),
        (SHA256_BASE64, "AgEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "`hash_sha256`"),
        ("4900.0.1\">", "4900.0.1/../x\">", "`version`"),
        ("\"ok\" PollInterval", "\"error-internal\" PollInterval", "`status`"),
        ("PollInterval=\"60\"", "PollInterval=\"soon\"", "`PollInterval`"),
        ("postinstall", "preinstall", "postinstall"),
        ("<package name", "<parcel name", "`<package>`"),
        ("<url codebase", "<uri codebase", "`<url>`"),
        (manifest, &manifest.repeat(2), "exactly one `<manifest>`"),
    ] {
        let hostile = honest.replacen(from, to, 1);
        assert_ne!(hostile, honest, "{from}");
        let error = Response::parse(hostile.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(named), "{from} -> {to}: {error}");
    }
}

#[test]
fn an_error_status_of_the_application_is_kept_in_its_own_words() {
    for (text, status) in [
        ("error-unknownApplication", AppStatus::UnknownApplication),
        ("error-updatesDisabled", AppStatus::Other("error-updatesDisabled".to_owned())),
    ] {
        let xml = format!(r#"<response protocol="3.0"><app appid="x" status="{text}"/></response>"#);
        let response = Response::parse(xml.as_bytes()).unwrap();
        assert_eq!(response.apps[0].status, status);
        assert_eq!(status.to_string(), text);
    }
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(
        size_bytes in 1..=OfferedPackage::MAX_SIZE_BYTES, digest: [u8; 32], extra: [u8; 32],
        poll in proptest::option::of(any::<u32>()), has_offer: bool, events in 0..4usize,
    ) {
        let mut release = offer();
        release.urls[0] = release.urls[0].as_directory();
        release.payload = OfferedPackage { size_bytes, sha256: Sha256(digest), ..release.payload };
        release.extras = vec![OfferedPackage { sha256: Sha256(extra), ..release.payload.clone() }];
        let mut response = response(has_offer.then_some(release));
        response.apps[0].events = events;
        response.apps[0].update_check.as_mut().unwrap().poll_interval_secs = poll;
        prop_assert_eq!(Response::parse(&response.to_bytes()).unwrap(), response);
    }

    #[test]
    fn no_flipped_byte_makes_the_reader_panic(at in 0..1200usize, flip in 1..=255u8) {
        let mut bytes = response(Some(offer())).to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let _ = Response::parse(&bytes);
    }
}
