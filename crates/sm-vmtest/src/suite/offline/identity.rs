//! `image.os-release`: the image says of itself what its release record says of it.

use std::collections::BTreeMap;

use crate::suite::{
    facts::{Facts, known},
    finding::{Findings, Looked, Stop},
    usr::Usr,
};

/// Longest file of this kind.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// os-release, the release file, the update configuration, the package list and the kernel image name this release.
///
/// # Errors
/// When image, kernel image or lock could not be looked at.
pub fn os_release(facts: &Facts) -> Looked {
    let (usr, kernel) = (known(&facts.usr)?, known(&facts.kernel)?);
    let manifest = &facts.manifest;
    let (os, version) = (manifest.os.clone(), manifest.version.to_string());
    let share = format!("/usr/share/{os}");
    let mut findings = Findings::of("4 files and the kernel image");
    let build: String = manifest.source_date.to_string().chars().filter(char::is_ascii_digit).collect();
    let release = fields(usr, "/usr/lib/os-release")?;
    for (key, expected) in [
        ("ID", &os),
        ("NAME", &facts.lists.identity.name),
        ("VERSION", &version),
        ("VERSION_ID", &version),
        ("BUILD_ID", &build),
        ("IMAGE_ID", &os),
        ("IMAGE_VERSION", &version),
    ] {
        expect(&mut findings, "os-release", &release, key, expected);
    }
    let prefix = os.to_uppercase();
    let own = fields(usr, &format!("{share}/release"))?;
    expect(&mut findings, "the release file", &own, &format!("{prefix}_RELEASE_VERSION"), &version);
    expect(
        &mut findings,
        "the release file",
        &own,
        &format!("{prefix}_RELEASE_BOARD"),
        &manifest.board.to_string(),
    );
    let app_id = &facts.lists.identity.app_id;
    expect(&mut findings, "the release file", &own, &format!("{prefix}_RELEASE_APPID"), app_id);
    let update = fields(usr, &format!("{share}/update.conf"))?;
    expect(&mut findings, "update.conf", &update, "GROUP", &manifest.channel.to_string());
    for (key, reviewed) in &facts.lists.identity.update {
        expect(&mut findings, "update.conf", &update, key, reviewed);
    }
    let beside = pairs(known(&facts.version_text)?);
    let named =
        beside.iter().filter(|(key, _)| key.ends_with("_VERSION") && !key.ends_with("STATIONMASTER_VERSION"));
    for (key, found) in named.filter(|(key, _)| !key.ends_with("SDK_VERSION")) {
        findings.expect_equal(&format!("`{key}` in version.txt"), found, &version);
    }
    let key = text(usr, &format!("{share}/update-payload-key.pub.pem"))?;
    findings
        .require(key.starts_with("-----BEGIN PUBLIC KEY-----"), || "the payload key is no public key".into());
    findings.expect_equal("the kernel image's version", kernel.version_id.as_deref().unwrap_or(""), &version);
    findings.expect_equal("the kernel's release", &kernel.uname, &manifest.kernel);
    packages(facts, usr, &share, &mut findings)?;
    Ok(findings)
}

fn packages(facts: &Facts, usr: &Usr, share: &str, findings: &mut Findings) -> Result<(), Stop> {
    let locked = known(&facts.packages)?.iter().map(|(name, version)| format!("{name} {version}"));
    let listed = text(usr, &format!("{share}/packages.txt"))?;
    let in_image = listed.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    findings.compare("package", &in_image.collect::<Vec<_>>(), &locked.collect::<Vec<_>>());
    Ok(())
}

fn expect(findings: &mut Findings, what: &str, fields: &BTreeMap<String, String>, key: &str, expected: &str) {
    let found = fields.get(key).map_or("", String::as_str);
    findings.expect_equal(&format!("`{key}` in {what}"), found, expected);
}

/// `KEY=VALUE` lines, quotes taken off. An absent file has none: each key then is a problem of its own.
fn fields(usr: &Usr, path: &str) -> Result<BTreeMap<String, String>, Stop> {
    Ok(pairs(&text(usr, path)?))
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

fn text(usr: &Usr, path: &str) -> Result<String, Stop> {
    if usr.get(path).is_none() {
        return Err(Stop::Broken(format!("`{path}` is absent")));
    }
    usr.text(path, MAX_TEXT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::sample::{self, problems};

    fn with(path: &str, text: &str) -> String {
        let mut facts = sample::facts();
        facts.usr = Ok(sample::replaced(path, text));
        problems(os_release(&facts))
    }

    #[test]
    fn the_sample_passes() {
        assert_eq!(problems(os_release(&sample::facts())), "");
    }

    #[test]
    fn every_word_of_another_release_is_caught() {
        let other = sample::OS_RELEASE.replace("4893.0.0", "4892.0.0");
        assert_eq!(with("/usr/lib/os-release", &other).matches("`4892.0.0`, expected `4893.0.0`").count(), 3);
        assert!(with("/usr/share/boxcar/update.conf", "GROUP=stable\n").contains("`GROUP` in update.conf"));
        assert!(with("/usr/share/boxcar/release", "").contains("BOXCAR_RELEASE_BOARD"));
        assert!(
            with("/usr/share/boxcar/packages.txt", "bash 5.1 amd64 bash\n").contains("package `bash 5.1`")
        );
        assert!(with("/usr/share/boxcar/update-payload-key.pub.pem", "x").contains("no public key"));
    }

    #[test]
    fn a_kernel_of_another_release_is_caught() {
        let mut facts = sample::facts();
        let kernel = facts.kernel.as_mut().unwrap();
        kernel.version_id = None;
        kernel.uname = "6.1".into();
        let found = problems(os_release(&facts));
        assert!(found.contains("kernel image's version") && found.contains("kernel's release"), "{found}");
    }
}
