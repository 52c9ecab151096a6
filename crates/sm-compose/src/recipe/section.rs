//! Reading TOML into sections without stopping at the first mistake.
//!
//! Serde's derive stops at the first error and knows no place of a missing key; a recipe deserves every complaint at
//! once. A section is declared once with [`section!`]: that gives its reader, its list of keys (which the
//! documentation is tested against) and the way a variant is laid over it. Whether a value makes sense is not judged here.

use toml::{Spanned, de::DeTable, de::DeValue};

use super::{
    place::{At, Place},
    problem::Problems,
};

/// A value of the TOML tree.
pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// Reads one document; collects what is wrong with it.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) document: usize,
    pub(crate) problems: &'a mut Problems,
}

impl Reader<'_> {
    pub(crate) fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        Place { document: self.document, offset: spanned.span().start }
    }

    fn mismatch(&mut self, value: &Value<'_>, expected: &str) {
        let place = self.place(value);
        let found = value.get_ref().type_str();
        self.problems.note(place, format!("found {found}")).expected(expected);
    }
}

/// What a key can hold.
pub(crate) trait Field: Default {
    /// Reads it; on a mismatch notes a problem and leaves the field empty.
    fn read(value: &Value<'_>, reader: &mut Reader<'_>) -> Self;
    /// Lays a variant's field over this one.
    fn lay(&mut self, over: Self);
    /// Adds the names of all keys at and below `path`.
    fn keys(path: &str, names: &mut Vec<String>);
}

/// What a list can hold.
pub(crate) trait Item: Sized {
    fn read_item(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<Self>;
    fn item_keys(path: &str, names: &mut Vec<String>);
}

/// A single value.
pub(crate) trait Scalar: Sized {
    /// What to write, for people.
    const EXPECTED: &'static str;
    fn from_value(value: &DeValue<'_>) -> Option<Self>;
}

impl Scalar for String {
    const EXPECTED: &'static str = "a text in quotes";
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl Scalar for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let integer = value.as_integer()?;
        u32::from_str_radix(integer.as_str(), integer.radix()).ok()
    }
}

impl Scalar for toml::value::Date {
    const EXPECTED: &'static str = "a date without quotes, for example `2013-07-01`";
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let datetime = value.as_datetime()?;
        if datetime.time.is_some() { None } else { datetime.date }
    }
}

impl<T: Scalar> Item for At<T> {
    fn read_item(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let read = T::from_value(value.get_ref());
        if read.is_none() {
            reader.mismatch(value, T::EXPECTED);
        }
        read.map(|read| At::new(read, reader.place(value)))
    }

    fn item_keys(path: &str, names: &mut Vec<String>) {
        names.push(path.to_owned());
    }
}

impl<T: Scalar> Field for Option<At<T>> {
    fn read(value: &Value<'_>, reader: &mut Reader<'_>) -> Self {
        At::read_item(value, reader)
    }

    fn lay(&mut self, over: Self) {
        if over.is_some() {
            *self = over;
        }
    }

    fn keys(path: &str, names: &mut Vec<String>) {
        names.push(path.to_owned());
    }
}

impl<T: Item> Field for Vec<T> {
    fn read(value: &Value<'_>, reader: &mut Reader<'_>) -> Self {
        let Some(items) = value.get_ref().as_array() else {
            reader.mismatch(value, "a list in brackets");
            return Vec::new();
        };
        items.iter().filter_map(|item| T::read_item(item, reader)).collect()
    }

    fn lay(&mut self, over: Self) {
        self.extend(over);
    }

    fn keys(path: &str, names: &mut Vec<String>) {
        T::item_keys(path, names);
    }
}

/// A table whose keys are the author's own names. Keeps the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named<V>(pub(crate) Vec<(At<String>, V)>);

impl<V> Default for Named<V> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<V: Field> Field for Named<V> {
    fn read(value: &Value<'_>, reader: &mut Reader<'_>) -> Self {
        let Some(table) = value.get_ref().as_table() else {
            reader.mismatch(value, "a table");
            return Named::default();
        };
        let entry = |(key, value): (&Spanned<_>, _)| {
            let name = At::new(String::from(AsRef::<str>::as_ref(key.get_ref())), reader.place(key));
            (name, V::read(value, reader))
        };
        Named(table.iter().map(entry).collect())
    }

    fn lay(&mut self, over: Self) {
        for (name, value) in over.0 {
            match self.0.iter_mut().find(|(mine, _)| mine.value == name.value) {
                Some((_, mine)) => mine.lay(value),
                None => self.0.push((name, value)),
            }
        }
    }

    fn keys(path: &str, names: &mut Vec<String>) {
        V::keys(&format!("{path}.NAME"), names);
    }
}

/// Notes every key of `table` that is not in `known`.
pub(crate) fn refuse_unknown_keys(table: &DeTable<'_>, known: &[&str], reader: &mut Reader<'_>) {
    for key in table.keys() {
        let name: &str = key.get_ref();
        if known.contains(&name) {
            continue;
        }
        let place = reader.place(key);
        let problem = reader.problems.note(place, format!("unknown key `{}`", name.escape_debug()));
        problem.expected(format!("one of {}", quoted_list(known)));
        if let Some(near) = nearest(name, known) {
            problem.hint(format!("did you mean `{near}`?"));
        }
    }
}

/// `a`, `b`, `c`.
pub(crate) fn quoted_list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that a misspelt one was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Jaro-Winkler similarity below which a suggestion confuses more than it helps: what clap uses.
    const LIKELY: f64 = 0.7;
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate));
    scored
        .filter(|(score, _)| *score > LIKELY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Declares a section: its keys, its reader, and how a variant is laid over it.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            /// Where the section was written, if it was.
            pub(crate) place: Option<$crate::recipe::place::Place>,
            /// Keys written in it, those of a wrong type included.
            pub(crate) written: Vec<&'static str>,
            $($(#[$field_doc])* pub(crate) $field: $type,)*
        }

        impl $name {
            /// Keys of this section.
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),*];

            /// Reads the keys it knows.
            pub(crate) fn from_table(
                table: &toml::de::DeTable<'_>,
                reader: &mut $crate::recipe::section::Reader<'_>,
            ) -> Self {
                use $crate::recipe::section::Field;
                let mut section = Self::default();
                $(if let Some(value) = table.get($key) {
                    section.written.push($key);
                    section.$field = Field::read(value, reader);
                })*
                section
            }
        }

        impl $crate::recipe::section::Field for $name {
            fn read(value: &$crate::recipe::section::Value<'_>, reader: &mut $crate::recipe::section::Reader<'_>) -> Self {
                <Self as $crate::recipe::section::Item>::read_item(value, reader).unwrap_or_default()
            }

            fn lay(&mut self, over: Self) {
                self.place = over.place.or(self.place);
                self.written.extend(over.written);
                $($crate::recipe::section::Field::lay(&mut self.$field, over.$field);)*
            }

            fn keys(path: &str, names: &mut Vec<String>) {
                $(<$type as $crate::recipe::section::Field>::keys(
                    &if path.is_empty() { $key.to_owned() } else { format!("{path}.{}", $key) },
                    names,
                );)*
            }
        }

        impl $crate::recipe::section::Item for $name {
            fn read_item(
                value: &$crate::recipe::section::Value<'_>,
                reader: &mut $crate::recipe::section::Reader<'_>,
            ) -> Option<Self> {
                let table = $crate::recipe::section::table_of(value, reader)?;
                $crate::recipe::section::refuse_unknown_keys(table, Self::KEYS, reader);
                let mut section = Self::from_table(table, reader);
                section.place = Some(reader.place(value));
                Some(section)
            }

            fn item_keys(path: &str, names: &mut Vec<String>) {
                <Self as $crate::recipe::section::Field>::keys(path, names);
            }
        }
    };
}

pub(crate) use section;

/// The table that `value` is, or a complaint.
pub(crate) fn table_of<'a, 'v>(value: &'a Value<'v>, reader: &mut Reader<'_>) -> Option<&'a DeTable<'v>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        reader.mismatch(value, "a table");
    }
    table
}
