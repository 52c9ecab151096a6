//! Seeds for the update protocol and for the settings of those who speak it.

const REQUEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" installsource="scheduler" ismachine="1">
<os version="Chateau" platform="CoreOS" sp="4900.0.0_x86_64"/>
<app appid="{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}" version="4900.0.0" track="stable" bootid="{b}" machineid="0123456789abcdef0123456789abcdef" oem="qemu" board="amd64-usr">
<ping active="1"/><updatecheck/><event eventtype="3" eventresult="0" errorcode="44" reason="health"/></app></request>"#;

const RESPONSE: &str = r#"<response protocol="3.0" server="stationmaster"><daystart elapsed_seconds="0"/>
<app appid="{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}" status="ok"><ping status="ok"/><updatecheck status="ok">
<urls><url codebase="http://10.0.2.2:8080/stable/amd64-usr/4914.0.0/"/></urls>
<manifest version="4914.0.0"><packages><package name="boxcar_production_update.gz" hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk=" size="4096" required="true"
 hash_sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"/></packages>
<actions><action event="postinstall" sha256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" needsadmin="false" IsDeltaPayload="false" DisablePayloadBackoff="true"/></actions>
</manifest></updatecheck><event status="ok"/></app></response>"#;

const SETTINGS: &str =
    "GROUP=stable\nSERVER=http://10.0.2.2:8080/v1/update/\nREBOOT_STRATEGY=off\nMACHINE_ALIAS=\"a b\"\n";

pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("omaha_request", "all", REQUEST.as_bytes().to_vec()),
        ("omaha_response", "update", RESPONSE.as_bytes().to_vec()),
        ("agent_config", "all", SETTINGS.as_bytes().to_vec()),
    ]
}
