//! The one printer of failures: the chain of causes, the next step, and the exit code.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use sm_model::exit;

/// What a failure's own type knows beyond its words.
struct Advice {
    hint: Option<String>,
    exit_code: u8,
}

/// Tries each known error type on a cause; a type needs `hint(&self) -> Option<String>` and `exit_code(&self) -> u8`.
macro_rules! advice_of {
    ($cause:expr, $($type:ty),+ $(,)?) => {
        $(if let Some(known) = $cause.downcast_ref::<$type>() {
            return Some(Advice { hint: known.hint(), exit_code: known.exit_code() });
        })+
    };
}

fn advice(cause: &(dyn Error + 'static)) -> Option<Advice> {
    advice_of!(
        cause,
        crate::compose::Unready,
        crate::notes::changelog::Unusable,
        crate::project::Unknown,
        crate::named::UnknownRelease,
        crate::test::Doubtful,
        crate::test::NoHistory,
        crate::test::NoTest,
        crate::test::NotOurs,
        crate::test::Refused,
        sm_compose::agent::AgentError,
        sm_compose::archive::ArchiveError,
        sm_compose::build::BuildError,
        sm_compose::image::ComposeError,
        sm_compose::recipe::PlanError,
        sm_compose::release::ReleaseError,
        sm_compose::recipe::RecipeError,
        sm_debian::signature::SignatureError,
        sm_host::files::FileError,
        sm_host::fetch::FetchError,
        sm_host::qemu::QemuError,
        crate::go::room::RoomError,
        sm_matrix::Error,
        sm_image::payload::read::ReadError,
        sm_image::payload::write::WriteError,
        sm_host::ssh_agent::AgentError,
        sm_pipeline::Error,
        sm_release::notes::review::Refusal,
        sm_release::bundle::InvalidBundle,
        sm_release::proof::ProofError,
        sm_release::train::Refusals,
        sm_server::Error,
        sm_store::Error,
        sm_trust::Error,
        sm_vmtest::VmError,
        sm_vmtest::suite::external::ExternalError,
        sm_vmtest::suite::lists::ListError,
        sm_vmtest::suite::report::ReportError,
    );
    None
}

/// Prints a failure to standard error and gives the exit code that tells its kind.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let (text, code) = words(error, json);
    // Nobody is left to tell when standard error is closed; the exit code still speaks.
    let _ = writeln!(io::stderr().lock(), "{text}");
    ExitCode::from(code)
}

/// Tells what is wrong with a command's words, or prints the help that they ask for.
pub(crate) fn misused(error: &clap::Error, json: bool) -> ExitCode {
    if !(json && error.use_stderr()) {
        let code = u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
        // Nobody is left to tell when the stream is closed; the exit code still speaks.
        let _ = error.print();
        return ExitCode::from(code);
    }
    let words = error.to_string();
    let words = words.strip_prefix("error: ").unwrap_or(&words);
    let (what, rest) = words.split_once("\n\n").unwrap_or((words, ""));
    let text = serde_json::json!({ "error": [what], "hint": rest.trim(), "exit_code": exit::USAGE });
    let _ = writeln!(io::stderr().lock(), "{text}");
    ExitCode::from(exit::USAGE)
}

/// A failure in words, with its exit code.
pub(crate) fn words(error: &anyhow::Error, json: bool) -> (String, u8) {
    let known: Vec<Advice> = error.chain().filter_map(advice).collect();
    let hint = known.iter().find_map(|advice| advice.hint.clone());
    let code = known.iter().map(|advice| advice.exit_code).find(|code| *code != exit::FAILURE);
    let code = code.unwrap_or(exit::FAILURE);
    let text = if json { as_json(error, hint.as_deref(), code) } else { as_text(error, hint.as_deref()) };
    (text, code)
}

fn as_text(error: &anyhow::Error, hint: Option<&str>) -> String {
    let mut lines = vec![format!("error: {error}")];
    lines.extend(error.chain().skip(1).map(|cause| format!("  because: {cause}")));
    lines.extend(hint.map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

fn as_json(error: &anyhow::Error, hint: Option<&str>, code: u8) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    serde_json::json!({ "error": causes, "hint": hint, "exit_code": code }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn missing_recipe() -> anyhow::Error {
        sm_host::files::read_limited("/nonexistent/recipe.toml".as_ref(), 1)
            .context("cannot load the recipe")
            .unwrap_err()
    }

    #[test]
    fn the_chain_is_printed_once_with_the_next_step() {
        let error = missing_recipe();
        let known: Vec<Advice> = error.chain().filter_map(advice).collect();
        assert_eq!(
            as_text(&error, known[0].hint.as_deref()),
            "error: cannot load the recipe\n  because: cannot open `/nonexistent/recipe.toml`\n  \
             because: No such file or directory (os error 2)\nhint: check the spelling of the path"
        );
        assert_eq!(known[0].exit_code, exit::STORAGE);
    }
}
