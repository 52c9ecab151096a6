//! The recipe: what an operating system is made of, from TOML text to a plan that cannot contradict itself.
//!
//! Three stages: the recipe as written, every value with its place ([`raw`]); the recipe judged, every complaint listed
//! ([`check`]); the plan of one release, with version, channel and time chosen ([`plan`]). Nothing here resolves
//! packages or touches the image. Every key is described in `docs/recipe.md`.

mod beside;
mod check;
mod image_path;
mod load;
mod place;
mod plan;
mod problem;
mod raw;
mod section;
#[cfg(test)]
pub(crate) mod tests;
mod types;

pub use image_path::{ImagePath, InvalidImagePath};
pub use load::{RecipeError, load};
pub use place::Location;
pub use plan::{Choices, PlanError};
pub use problem::Problem;
pub use types::*;

/// Names of all keys a recipe may have: `os.id`, `files.path`, `archive.suites.NAME.mirror`.
pub fn keys() -> Vec<String> {
    raw::RawRecipe::keys()
}
