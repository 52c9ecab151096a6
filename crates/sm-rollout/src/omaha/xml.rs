//! The XML under the protocol: a small tree of elements and attributes, read within hard limits and written escaped.
//!
//! Text content is ignored, as every Omaha client and server does. There are no document types, so no entities but XML's
//! own five and character references: nothing in a document can grow or point outside it.

use quick_xml::{
    Reader, Writer, XmlVersion,
    events::{BytesDecl, BytesEnd, BytesStart, Event},
};

use super::Error;

/// How much of a foreign document is looked at. Each bound names the attack it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Flooding with one huge document.
    pub document_bytes: usize,
    /// Exhausting the stack with nested elements.
    pub depth: usize,
    /// Exhausting memory with many tiny elements.
    pub elements: usize,
    /// Making the search for duplicate attributes quadratic.
    pub attributes: usize,
    /// Storing novels in identities.
    pub value_bytes: usize,
}

impl Limits {
    /// What real clients and servers stay below by an order of magnitude.
    pub const DEFAULT: Limits =
        Limits { document_bytes: 64 << 10, depth: 12, elements: 512, attributes: 48, value_bytes: 8 << 10 };
}

/// One element with its attributes, in document order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
}

impl Element {
    pub(super) fn new(name: &str) -> Self {
        Element { name: name.to_owned(), attributes: Vec::new(), children: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn with(mut self, attribute: &str, value: impl ToString) -> Self {
        self.attributes.push((attribute.to_owned(), value.to_string()));
        self
    }

    pub(super) fn with_some(self, attribute: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(attribute, value),
            None => self,
        }
    }

    pub(super) fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }

    /// The attribute's value, if present.
    pub(super) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// The attribute's value.
    pub(super) fn required(&self, attribute: &'static str) -> Result<&str, Error> {
        self.get(attribute)
            .ok_or_else(|| Error::MissingAttribute { element: self.name.clone(), name: attribute })
    }

    /// The attribute's value in its own type.
    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        attribute: &'static str,
        expected: &'static str,
    ) -> Result<T, Error> {
        self.required(attribute)?.parse().map_err(|_| self.bad(attribute, expected))
    }

    /// The attribute's value in its own type; absent and empty are the same.
    pub(super) fn optional<T: std::str::FromStr>(
        &self,
        attribute: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, Error> {
        match self.get(attribute) {
            None | Some("") => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| self.bad(attribute, expected)),
        }
    }

    /// An error that names the attribute and shows the start of its value.
    pub(super) fn bad(&self, attribute: &'static str, expected: &'static str) -> Error {
        let found = self.get(attribute).unwrap_or_default().chars().take(80).collect();
        Error::BadAttribute { element: self.name.clone(), name: attribute, expected, found }
    }

    /// Every child of that name.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of that name.
    pub(super) fn first(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The document as bytes, with declaration and final newline.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
        let written = writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
            .and_then(|()| self.write(&mut writer));
        debug_assert!(written.is_ok(), "writing to a vector cannot fail");
        let mut bytes = writer.into_inner();
        bytes.push(b'\n');
        bytes
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_str());
        for (name, value) in &self.attributes {
            start.push_attribute((name.as_str(), legal_characters(value).as_str()));
        }
        if self.children.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        self.children.iter().try_for_each(|child| child.write(writer))?;
        writer.write_event(Event::End(BytesEnd::new(self.name.as_str())))
    }
}

/// Console lines carry escape characters, which XML 1.0 cannot spell (section 2.2): each becomes U+FFFD.
pub(super) fn legal_characters(value: &str) -> String {
    value.chars().map(|c| if is_legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

const fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Reads one document.
///
/// # Errors
/// When the document is no well-formed UTF-8 XML, has a document type, or exceeds a limit.
pub(super) fn parse(document: &[u8], limits: &Limits) -> Result<Element, Error> {
    if document.len() > limits.document_bytes {
        return Err(Error::TooLarge { what: "bytes in the document", limit: limits.document_bytes });
    }
    let text = std::str::from_utf8(document).map_err(Error::NotUtf8)?;
    let mut tree = Tree { limits, open: Vec::new(), root: None, n_elements: 0 };
    let mut reader = Reader::from_str(text.trim_start_matches('\u{FEFF}'));
    loop {
        match reader.read_event().map_err(|source| Error::Malformed(Box::new(source)))? {
            Event::Start(start) => tree.open(&start)?,
            Event::Empty(start) => {
                tree.open(&start)?;
                tree.close()?;
            }
            Event::End(_) => tree.close()?,
            Event::DocType(_) => return Err(Error::DocumentType),
            Event::Eof => return tree.finish(),
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

/// The tree while it grows: the path of open elements, and the root once it is closed.
struct Tree<'l> {
    limits: &'l Limits,
    open: Vec<Element>,
    root: Option<Element>,
    n_elements: usize,
}

impl Tree<'_> {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        self.n_elements += 1;
        let exceeded = |what, limit| Err(Error::TooLarge { what, limit });
        if self.open.len() >= self.limits.depth {
            return exceeded("nested elements", self.limits.depth);
        }
        if self.n_elements > self.limits.elements {
            return exceeded("elements", self.limits.elements);
        }
        if self.root.is_some() {
            return Err(Error::Structure("one root element"));
        }
        let mut element = Element::new(start.name().as_ref());
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|source| Error::Malformed(Box::new(source.into())))?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|source| Error::Malformed(Box::new(source)))?;
            if element.attributes.len() >= self.limits.attributes {
                return exceeded("attributes of one element", self.limits.attributes);
            }
            if value.len() > self.limits.value_bytes {
                return exceeded("bytes in one attribute", self.limits.value_bytes);
            }
            element.attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let element = self.open.pop().ok_or(Error::Structure("an open element before its end"))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, Error> {
        if !self.open.is_empty() {
            return Err(Error::Structure("the end of every element"));
        }
        self.root.ok_or(Error::Structure("one root element"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Element, Error> {
        parse(text.as_bytes(), &Limits::DEFAULT)
    }

    proptest! {
        #[test]
        fn any_value_survives_writing_and_reading(value in "\\PC{0,40}[\r\n\t<>&\"']{0,8}\\PC{0,4}") {
            let element = Element::new("a").with("v", &value).child(Element::new("b"));
            prop_assert_eq!(parse(&element.to_bytes(), &Limits::DEFAULT).unwrap(), element);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, &Limits::DEFAULT);
        }

        #[test]
        fn no_markup_soup_makes_the_reader_panic(text in "[<>/?!&;\"'= a\\[\\]-]{0,60}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn characters_that_xml_cannot_spell_are_replaced() {
        let bytes = Element::new("a").with("v", "\u{1b}[31mred\0").to_bytes();
        assert_eq!(parse(&bytes, &Limits::DEFAULT).unwrap().get("v"), Some("\u{FFFD}[31mred\u{FFFD}"));
    }

    #[test]
    fn documents_that_are_not_well_formed_are_refused() {
        for text in
            ["", "x", "<a", "<a>", "</a>", "<a></b>", "<a x=1/>", "<a x/>", "<a x='1' x='2'/>", "<a/><b/>"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn entities_of_a_document_type_are_refused_before_they_can_grow() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]><a v="&y;"/>"#;
        assert!(matches!(read(bomb), Err(Error::DocumentType)));
        assert!(read(r#"<a v="&y;"/>"#).is_err());
    }

    #[test]
    fn every_limit_holds() {
        let limits = Limits { document_bytes: 100, depth: 2, elements: 3, attributes: 2, value_bytes: 4 };
        let read = |text: &str| parse(text.as_bytes(), &limits).map(drop);
        read("<a><b x='1234' y='1'/><b/></a>").unwrap();
        for text in [
            "<a><b><c/></b></a>",
            "<a><b/><b/><b/></a>",
            "<a x='' y='' z=''/>",
            "<a x='12345'/>",
            &format!("<a>{}</a>", " ".repeat(100)),
        ] {
            assert!(matches!(read(text), Err(Error::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn what_clients_decorate_a_document_with_is_ignored() {
        let text =
            "\u{FEFF}<?xml version='1.0' encoding='UTF-8'?>\n<!-- hi --><a>text<![CDATA[<b>]]>&lt;</a>\n";
        assert_eq!(read(text).unwrap(), Element::new("a"));
    }
}
