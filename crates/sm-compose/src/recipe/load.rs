//! From files on disk to a checked recipe: reads the recipe and its variants, lays them over one another, judges the whole.

use std::path::{Path, PathBuf};

use sha2::Digest as _;
use sm_host::files::{FileError, read_text};
use sm_model::{Sha256, exit};
use toml::de::DeTable;

use super::{
    beside::Beside,
    check::{Checker, check},
    place::{Documents, Place},
    problem::{Problem, Problems},
    raw::RawRecipe,
    section::Reader,
    types::Recipe,
};

/// Largest recipe or variant: stops a file that is none.
const MAX_DOCUMENT_BYTES: u64 = 1 << 20;

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file cannot be read, is no text, or is too large for a recipe.
    #[error("cannot read the recipe")]
    Read(#[source] FileError),
    /// The recipe is wrong.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl RecipeError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            RecipeError::Read(error) if error.is_not_found() => Some(
                "name the recipe with `--recipe`, or run from the directory that holds `os/boxcar`".into(),
            ),
            RecipeError::Read(error) => error.hint(),
            RecipeError::Invalid(_) => Some("every key is described in `docs/recipe.md`".into()),
        }
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            RecipeError::Read(error) => error.exit_code(),
            RecipeError::Invalid(_) => exit::INVALID_INPUT,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        n => format!("{n} problems"),
    };
    let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
    format!("the recipe has {count}\n{}", lines.join("\n"))
}

/// Reads a recipe and lays variants over it, in order.
///
/// # Errors
/// When a file cannot be read, or anything in them is wrong: then every problem is listed.
pub fn load(recipe: &Path, variants: &[PathBuf]) -> Result<Recipe, RecipeError> {
    let mut documents = Documents::default();
    let mut beside = Beside::default();
    for path in std::iter::once(recipe).chain(variants.iter().map(PathBuf::as_path)) {
        let name = path.display().to_string();
        documents.add(name.clone(), read_text(path, MAX_DOCUMENT_BYTES).map_err(RecipeError::Read)?);
        beside.add(path.parent().unwrap_or(Path::new("")).to_owned(), name);
    }
    let names = variants.iter().map(|path| stem(path)).collect();
    judge(&documents, &mut beside, names).map_err(RecipeError::Invalid)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Judges documents that were read: the pure part, but for the files beside them.
pub(super) fn judge(
    documents: &Documents,
    beside: &mut Beside,
    variants: Vec<String>,
) -> Result<Recipe, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut merged = RawRecipe::default();
    for document in 0..documents.len() {
        match parse(documents.text(document), document, &mut problems) {
            Some(raw) => merged.lay(raw),
            // What such a text lacks is not worth telling.
            None => return Err(problems.located(documents)),
        }
    }
    let checked = check(merged, variants, Checker { problems: &mut problems, beside });
    match checked {
        Some(recipe) if problems.is_empty() => Ok(Recipe { digest: digest(documents, beside), ..recipe }),
        _ => Err(problems.located(documents)),
    }
}

/// Reads one document as far as it can be read; gives nothing when that is nowhere.
pub(super) fn parse(text: &str, document: usize, problems: &mut Problems) -> Option<RawRecipe> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        problems.note(Place { document, offset }, error.message().to_owned());
    }
    if root.get_ref().is_empty() && !problems.is_empty() {
        return None;
    }
    let mut reader = Reader { document, problems };
    Some(RawRecipe::read(root.get_ref(), &mut reader))
}

/// SHA-256 over every document and every file taken, each framed by its length. Where the directory lies does not count;
/// changing this framing changes the digest of every recipe.
fn digest(documents: &Documents, beside: &Beside) -> Sha256 {
    let mut hash = sha2::Sha256::new();
    let mut frame = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    frame(b"stationmaster recipe 1");
    for (_, text) in documents.iter() {
        frame(text.as_bytes());
    }
    for ((document, path), file) in beside.taken() {
        frame(&(*document as u64).to_le_bytes());
        frame(path.as_os_str().as_encoded_bytes());
        frame(&[u8::from(file.executable)]);
        frame(&file.bytes);
    }
    Sha256(hash.finalize().into())
}
