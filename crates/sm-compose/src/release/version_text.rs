//! `version.txt`: what clients and scripts read to find the newest release of a channel.
//!
//! The first seven lines are Flatcar's, in its order (`build_image` and `create_versionfile` of its scripts), so that
//! its tools read the file as it is.

use crate::recipe::Plan;

/// The text. The tools' version stands where Flatcar names its SDK.
pub fn version_text(plan: &Plan) -> String {
    let version = plan.version;
    let prefix = variable_prefix(&plan.os.id);
    format!(
        "FLATCAR_BUILD={}\n\
         FLATCAR_BRANCH={}\n\
         FLATCAR_PATCH={}\n\
         FLATCAR_VERSION={version}\n\
         FLATCAR_VERSION_ID={version}\n\
         FLATCAR_BUILD_ID=\"\"\n\
         FLATCAR_SDK_VERSION={sdk}\n\
         {prefix}_VERSION={version}\n\
         {prefix}_CHANNEL={}\n\
         {prefix}_BOARD={}\n\
         {prefix}_SOURCE_DATE_EPOCH={}\n\
         {prefix}_STATIONMASTER_VERSION={sdk}\n",
        version.major,
        version.level,
        version.patch,
        plan.channel,
        sm_model::Board(plan.target.arch),
        plan.source_date.unix_secs(),
        sdk = env!("CARGO_PKG_VERSION"),
    )
}

/// The system's id as the start of a shell variable: `BOXCAR`.
fn variable_prefix(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_shell_variables() {
        assert_eq!(variable_prefix("boxcar"), "BOXCAR");
        assert_eq!(variable_prefix("my-os.2"), "MY_OS_2");
    }
}
