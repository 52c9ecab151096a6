//! Judges what a recipe lays over the packages: files, directories, links, owners and modes.

use std::{collections::BTreeMap, path::Path};

use super::{Checker, TOP, accounts::Accounts};
use crate::recipe::{
    beside::{BesideError, BesideFile},
    image_path::ImagePath,
    place::{At, Place},
    raw::{RawFile, RawMode, Text},
    section::Named,
    types::{Mode, PlacedFile},
};

/// Which part of the system a list of files belongs to: it decides where they may lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ground<'a> {
    /// The image: /usr, and /etc as its factory default. Holds the id of the operating system.
    Image(&'a str),
    /// The initial RAM disk: anywhere.
    Initrd,
}

/// What has been declared at each path, and where: no path may be declared twice.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_path: BTreeMap<ImagePath, (Place, &'static str)>,
}

impl Checker<'_> {
    /// The files of a list, directories expanded.
    pub(super) fn placed_files(
        &mut self,
        raw: &[RawFile],
        ground: Ground<'_>,
        accounts: &Accounts,
        claims: &mut Claims,
    ) -> BTreeMap<ImagePath, PlacedFile> {
        let mut files = BTreeMap::new();
        for entry in raw {
            let Some(top) = self.place_for(&entry.path, entry.place, ground) else { continue };
            let replaces =
                entry.replace.as_ref().filter(|replace| replace.value).map(|replace| replace.place);
            let place = entry.path.as_ref().map_or_else(|| TOP, |path| path.place);
            for (path, file) in self.expanded(&top, entry, accounts) {
                self.refuse_reserved(&path, place, ground);
                self.claim(claims, &path, place, "file", replaces);
                files.insert(path, file);
            }
        }
        files
    }

    /// One entry's files: one, or one for each file of a directory beside the recipe.
    fn expanded(
        &mut self,
        top: &ImagePath,
        entry: &RawFile,
        accounts: &Accounts,
    ) -> Vec<(ImagePath, PlacedFile)> {
        let (uid, gid) = self.owner(&entry.user, &entry.group, accounts);
        let mut contents = self.contents(entry);
        let single = contents.len() == 1 && contents[0].0.is_empty();
        if let Some(mode) = entry.mode.as_ref().filter(|_| !single && !contents.is_empty()) {
            self.problems.note(mode.place, "`mode` cannot be given for a whole directory").hint(
                "make the files that are programs executable beside the recipe, or list a file by itself",
            );
        }
        let mut files = Vec::new();
        for (below, source, file) in contents.drain(..) {
            let bits = if file.executable { 0o755 } else { 0o644 };
            let mode = Mode { mode: self.mode_bits(&entry.mode, bits), uid, gid };
            match top.join(&below) {
                Ok(path) => files.push((path, PlacedFile { bytes: file.bytes, mode, source })),
                Err(error) => {
                    let place = entry.source.as_ref().map_or(TOP, |source| source.place);
                    self.problems.note(place, error.to_string());
                }
            }
        }
        files
    }

    /// Path below the entry's own, source beside the recipe, and the file.
    fn contents(&mut self, entry: &RawFile) -> Vec<(String, Option<std::path::PathBuf>, BesideFile)> {
        match (&entry.source, &entry.text) {
            (Some(source), None) => {
                let taken = self.beside.tree(source.place.document, &source.value);
                let files = self.beside_or_note(taken, source).unwrap_or_default();
                let named = |(below, file): (std::path::PathBuf, BesideFile)| {
                    let relative = Path::new(&source.value).join(&below);
                    (below.to_string_lossy().into_owned(), Some(relative.components().collect()), file)
                };
                files.into_iter().map(named).collect()
            }
            (None, Some(text)) => {
                let file = BesideFile { bytes: text.value.as_bytes().into(), executable: false };
                vec![(String::new(), None, file)]
            }
            (Some(_), Some(_)) | (None, None) => {
                let place = entry.place.unwrap_or(TOP);
                self.problems
                    .note(place, "the file does not say what it holds")
                    .expected("exactly one of `source` and `text`");
                Vec::new()
            }
        }
    }

    /// The file beside the recipe, or a complaint.
    pub(super) fn source_file(&mut self, source: &At<String>) -> Option<BesideFile> {
        let taken = self.beside.file(source.place.document, &source.value);
        self.beside_or_note(taken, source)
    }

    fn beside_or_note<T>(&mut self, taken: Result<T, BesideError>, source: &At<String>) -> Option<T> {
        taken
            .map_err(|error| {
                let hint = matches!(error, BesideError::Missing(..))
                    .then_some("sources are relative to the directory of the file that names them");
                let problem = self.problems.note(source.place, error.to_string());
                hint.map(|hint| problem.hint(hint));
            })
            .ok()
    }

    /// The path of an entry, if it may lie there.
    fn place_for(&mut self, path: &Text, entry: Option<Place>, ground: Ground<'_>) -> Option<ImagePath> {
        let Some(text) = path else {
            let place = entry.unwrap_or(TOP);
            self.problems.note(place, "the entry lacks `path`").expected("where it lies in the image");
            return None;
        };
        let path: ImagePath = self.parsed(text)?;
        if let Ground::Image(_) = ground
            && !path.is_within("/usr")
            && !path.is_within("/etc")
        {
            self.problems
                .note(text.place, format!("`{path}` is outside the image"))
                .expected("a path below /usr, or below /etc for a factory default")
                .hint("everything else is made on the running host: declare it with a file in /usr/lib/tmpfiles.d");
            return None;
        }
        Some(path)
    }

    /// Refuses paths that composing writes itself.
    fn refuse_reserved(&mut self, path: &ImagePath, place: Place, ground: Ground<'_>) {
        let Ground::Image(os) = ground else { return };
        let share = format!("/usr/share/{os}");
        let own = ["release", "update.conf", "packages.txt", "update-payload-key.pub.pem"];
        let written = own.iter().any(|name| path.as_str() == format!("{share}/{name}"))
            || path.is_within(&format!("{share}/etc"))
            || matches!(
                path.as_str(),
                "/usr/lib/os-release" | "/etc/os-release" | "/usr/bin/stationmaster-agent"
            );
        if written {
            self.problems
                .note(place, format!("`{path}` is written by composing itself"))
                .expected("another path")
                .hint("factory defaults of /etc are placed as `/etc/…`; the rest follows from the recipe's own keys");
        }
    }

    fn claim(
        &mut self,
        claims: &mut Claims,
        path: &ImagePath,
        place: Place,
        kind: &'static str,
        replaces: Option<Place>,
    ) {
        let before = claims.by_path.insert(path.clone(), (place, kind));
        match (before, replaces) {
            (Some(_), Some(_)) | (None, None) => {}
            (Some((_, other_kind)), None) => {
                self.problems
                    .note(place, format!("`{path}` is declared twice, as {other_kind} and as {kind}"))
                    .hint(
                        "remove one of the two; a variant that means to replace a file says `replace = true`",
                    );
            }
            (None, Some(replace)) => {
                self.problems
                    .note(replace, format!("nothing at `{path}` to replace"))
                    .hint("files of packages are replaced without saying so: remove `replace`");
            }
        }
    }

    pub(super) fn directories(
        &mut self,
        raw: &[RawMode],
        ground: Ground<'_>,
        accounts: &Accounts,
        claims: &mut Claims,
    ) -> BTreeMap<ImagePath, Mode> {
        let mut directories = BTreeMap::new();
        for entry in raw {
            let Some((path, place, mode)) = self.mode_entry(entry, 0o755, ground, accounts) else { continue };
            self.claim(claims, &path, place, "directory", None);
            directories.insert(path, mode);
        }
        directories
    }

    /// Owners and modes of packages' files. They claim their paths apart from files: one complaint is enough.
    pub(super) fn modes(
        &mut self,
        raw: &[RawMode],
        ground: Ground<'_>,
        accounts: &Accounts,
        claims: &mut Claims,
    ) -> BTreeMap<ImagePath, Mode> {
        let mut modes = BTreeMap::new();
        for entry in raw {
            let Some((path, place, mode)) = self.mode_entry(entry, 0o644, ground, accounts) else { continue };
            if entry.mode.is_none() {
                self.problems
                    .note(place, format!("`{path}` lacks `mode`"))
                    .expected("octal digits in quotes: `\"4755\"`");
            }
            self.claim(claims, &path, place, "owner and mode of a package's file", None);
            modes.insert(path, mode);
        }
        modes
    }

    fn mode_entry(
        &mut self,
        entry: &RawMode,
        default: u32,
        ground: Ground<'_>,
        accounts: &Accounts,
    ) -> Option<(ImagePath, Place, Mode)> {
        let path = self.place_for(&entry.path, entry.place, ground)?;
        let place = entry.path.as_ref()?.place;
        let (uid, gid) = self.owner(&entry.user, &entry.group, accounts);
        Some((path, place, Mode { mode: self.mode_bits(&entry.mode, default), uid, gid }))
    }

    pub(super) fn symlinks(
        &mut self,
        raw: &Named<Text>,
        ground: Ground<'_>,
        claims: &mut Claims,
    ) -> BTreeMap<ImagePath, String> {
        let mut links = BTreeMap::new();
        for (name, target) in &raw.0 {
            let Some(target) = target else { continue };
            let Some(path) = self.place_for(&Some(name.clone()), None, ground) else { continue };
            self.refuse_reserved(&path, name.place, ground);
            if target.value.is_empty()
                || target.value.contains(char::is_control)
                || target.value.len() > ImagePath::MAX_LEN
            {
                self.problems
                    .note(
                        target.place,
                        format!("`{}` cannot be a link's target", target.value.escape_debug()),
                    )
                    .expected("a path of 1 to 4095 bytes without control characters");
            }
            self.claim(claims, &path, name.place, "symbolic link", None);
            links.insert(path, target.value.clone());
        }
        links
    }
}
