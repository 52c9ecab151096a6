//! What guests, SSH servers and authors of tests send.

const RULE: &str = r#"[[rule]]
id = "a"
severity = "failure"
all = ["bad"]
except = [{ test = "update.*", with = ["luck"], sample = "bad luck" }]
hits = ["bad"]
"#;

const REPORT: &str = r#"{"format":1,"subject":"0101010101010101010101010101010101010101010101010101010101010101",
"version":"4893.0.0","suite":"0202020202020202020202020202020202020202020202020202020202020202",
"host":{"accelerator":"tcg","cpus":2,"memory_mib":1,"stationmaster":"0"},"attempts":[
{"test":"boot.uefi","scenario":{"platform":"qemu"},"number":1,"isolation":"suite","outcome":{"outcome":"fail"},
"phase":"boot","message":"\u001b[31m<&\"late\n","signature":null,"started":"2026-11-23T07:00:00Z",
"duration_millis":1,"load_centi":12,"logs":[]}]}"#;

/// Seeds of these targets.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("ssh_greeting", "greeting", greeting()),
        ("kola_header", "line", text("#!/bin/sh\n# kola: {\"exclusive\": false, \"timeoutMin\": 3, \"minMemory\": 2048}\n")),
        ("kola_header", "lines", text("#!/bin/sh\n## kola:\n##   timeoutMin: 5\n##   additionalDisks: [\"5G\"]\n")),
        ("kola_header", "beside", text("{\"platforms\": \"!qemu\", \"tags\": \"informing\"}")),
        ("console_rules", "rule", text(RULE)),
        ("console_rules", "console", text("\u{1b}[0;1;31mFAILED\u{1b}[0m] Failed to start \u{1b}]0;a\u{7}b\r\n")),
        ("guest_shell", "answer", text("noise\n<guest-shell boot 0a-1b>\n\n<m begin>\nout\n<m end 0>\n")),
        ("test_report", "report", text(REPORT)),
    ]
}

/// An SSH server's first packet, with one name in each of six lists.
fn greeting() -> Vec<u8> {
    let lists = ["curve25519-sha256", "ssh-ed25519", "in", "aes", "in", "hmac"];
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for list in lists {
        payload.extend((list.len() as u32).to_be_bytes());
        payload.extend(list.as_bytes());
    }
    let mut bytes = b"SSH-2.0-OpenSSH_10.0\r\n".to_vec();
    bytes.extend((payload.len() as u32 + 5).to_be_bytes());
    bytes.push(4);
    bytes.extend(payload);
    bytes.extend([0; 4]);
    bytes
}
