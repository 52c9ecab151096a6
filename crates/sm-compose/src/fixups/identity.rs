//! Files by which the image says what it is: os-release, the release and update configuration, the package list.

use super::FixupError;
use crate::{
    image::PackageFile,
    recipe::Plan,
    tree::{Entry, Origin, Tree},
};

/// Writes them.
pub(super) fn write(tree: &mut Tree, plan: &Plan, packages: &[PackageFile]) -> Result<(), FixupError> {
    let share = format!("/usr/share/{}", plan.os.id);
    for (path, text) in [
        ("/usr/lib/os-release".to_owned(), os_release(plan)),
        (format!("{share}/release"), release(plan)),
        (format!("{share}/update.conf"), update_conf(plan)),
        (format!("{share}/update-payload-key.pub.pem"), plan.payload_key_pem.clone()),
        (format!("{share}/packages.txt"), package_list(packages)),
    ] {
        tree.put(&path, Entry::file(text, Origin::Composed))?;
    }
    tree.put("/etc/os-release", Entry::symlink("../usr/lib/os-release", Origin::Composed))?;
    Ok(())
}

/// os-release(5).
pub(crate) fn os_release(plan: &Plan) -> String {
    let (id, name, version) = (&plan.os.id, &plan.os.name, plan.version);
    let build: String = plan.source_date.to_string().chars().filter(char::is_ascii_digit).collect();
    format!(
        "ID={id}\nID_LIKE=debian\nNAME=\"{name}\"\nPRETTY_NAME=\"{name} {version} ({channel})\"\n\
         VERSION={version}\nVERSION_ID={version}\nBUILD_ID={build}\nIMAGE_ID={id}\nIMAGE_VERSION={version}\n\
         DEFAULT_HOSTNAME={id}\n",
        channel = plan.channel
    )
}

fn release(plan: &Plan) -> String {
    let prefix = plan.os.id.to_uppercase();
    format!(
        "{prefix}_RELEASE_VERSION={}\n{prefix}_RELEASE_BOARD={}-usr\n{prefix}_RELEASE_APPID={}\n",
        plan.version, plan.target.arch, plan.os.app_id
    )
}

fn update_conf(plan: &Plan) -> String {
    let update = &plan.target.update;
    format!(
        "# Defaults. A host overrides them key by key in /etc/{}/update.conf.\n\
         GROUP={}\nSERVER={}\nREBOOT_STRATEGY={}\n",
        plan.os.id, plan.channel, update.server, update.reboot_strategy
    )
}

fn package_list(packages: &[PackageFile]) -> String {
    let line = |file: &PackageFile| {
        let package = &file.package;
        format!("{} {} {} {}\n", package.name, package.version, package.arch, package.source)
    };
    packages.iter().map(line).collect()
}
