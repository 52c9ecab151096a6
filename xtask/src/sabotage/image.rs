//! An image broken on purpose, as its file says it: what is broken in it, how, and which tests have to notice. Reading is all that
//! happens here.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::edit::Edit;

/// Which tests a breakage is for, and what they have to say.
pub(super) type CaughtBy = BTreeMap<String, String>;

/// One image with everything that is broken in it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Image {
    /// The name of its file, without its ending.
    #[serde(skip)]
    pub(super) name: String,
    /// Classes of tests that look at it.
    pub(super) runs: Vec<String>,
    /// Of those, only tests with such names; every other is a bystander that nobody asked.
    pub(super) only: Option<String>,
    /// Whether the sound release counts as its second composition.
    #[serde(default)]
    pub(super) has_twin: bool,
    /// What is broken in it. An image without any shows that the tests can pass.
    #[serde(default, rename = "breakage")]
    pub(super) breakages: Vec<Breakage>,
}

/// One way in which an image is broken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Breakage {
    /// In a few words.
    pub(super) what: String,
    /// Tests that must fail because of it, each with words that its log must hold then.
    pub(super) caught_by: CaughtBy,
    /// What is laid over the recipe (docs/recipe.md, "Variants").
    #[serde(default)]
    pub(super) variant: toml::Table,
    /// What is changed in the finished release.
    #[serde(default)]
    pub(super) edits: Vec<Edit>,
    /// What stands at the end of reviewed lists, by file: the image then lacks it.
    #[serde(default)]
    pub(super) lists: BTreeMap<String, String>,
}

impl Image {
    /// Whether it is the sound release with changes, and needs no composition of its own.
    pub(super) fn is_edited_only(&self) -> bool {
        self.breakages.iter().all(|breakage| breakage.variant.is_empty())
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let image: Image = toml::from_str(text)?;
        ensure!(!image.runs.is_empty(), "`runs` names no class of tests");
        for breakage in &image.breakages {
            let is_nothing =
                breakage.variant.is_empty() && breakage.edits.is_empty() && breakage.lists.is_empty();
            ensure!(!is_nothing, "`{}` changes nothing", breakage.what);
            ensure!(!breakage.caught_by.is_empty(), "`{}` is caught by no test", breakage.what);
            let is_mute = breakage.caught_by.values().any(|words| words.trim().is_empty());
            ensure!(!is_mute, "`{}`: a test that catches it says nothing", breakage.what);
        }
        Ok(Image { name: name.to_owned(), ..image })
    }
}

/// Everything in the folder: the images by name, and the tests that no breakage is for, with the reason.
#[derive(Debug)]
pub(super) struct Folder {
    /// In the order of their names.
    pub(super) images: Vec<Image>,
    /// `exempt.toml`
    pub(super) exempt: BTreeMap<String, String>,
}

/// The file of tests that no breakage is for.
const EXEMPT: &str = "exempt";

impl Folder {
    /// Reads every TOML file of a folder.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let mut folder = Folder { images: Vec::new(), exempt: BTreeMap::new() };
        for entry in fs::read_dir(path).with_context(|| format!("cannot list `{}`", path.display()))? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else {
                continue;
            };
            let context = || format!("`{}` is no image broken on purpose", path.display());
            let text = fs::read_to_string(&path).with_context(context)?;
            if name == EXEMPT {
                folder.exempt = toml::from_str(&text).with_context(context)?;
            } else {
                folder.images.push(Image::parse(name, &text).with_context(context)?);
            }
        }
        folder.images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakage_that_changes_nothing_or_that_nobody_must_notice_is_refused() {
        let refused = |rest: &str| {
            let text = format!("runs = ['offline']\n[[breakage]]\nwhat = 'x'\n{rest}");
            Image::parse("a", &text).unwrap_err().to_string()
        };
        assert_eq!(refused("caught-by = { 'image.perms' = 'x' }"), "`x` changes nothing");
        assert_eq!(refused("caught-by = {}\nvariant.kernel.arguments = ['a']"), "`x` is caught by no test");
        assert!(
            refused("caught-by = { a = ' ' }\nvariant.kernel.arguments = ['a']").contains("says nothing")
        );
    }

    #[test]
    fn the_images_of_boxcar_are_of_their_form() {
        let folder = Folder::read(&crate::cargo::root().join(super::super::FOLDER)).unwrap();
        assert!(folder.images.iter().any(|image| image.breakages.is_empty()), "no image is sound");
        assert!(folder.images.len() > 1);
        assert!(folder.exempt.values().all(|reason| !reason.trim().is_empty()));
    }
}
