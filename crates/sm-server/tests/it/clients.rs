//! What clients in the field make of an answer, by their own rules and not by our codec.

use base64ct::{Base64, Encoding};
use quick_xml::{Reader, XmlVersion, events::Event};

/// An element with its attributes, found by walking.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
}

impl Node {
    pub(crate) fn document(text: &str) -> Node {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Node::default()];
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{error} in {text}")) {
                Event::Start(start) => open.push(node(&start)),
                Event::Empty(start) => {
                    let node = node(&start);
                    open.last_mut().unwrap().children.push(node);
                }
                Event::End(_) => {
                    let node = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(node);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let mut root = open.pop().unwrap();
        assert!(open.is_empty(), "elements are closed in {text}");
        root.children.remove(0)
    }

    pub(crate) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn path<'n>(&'n self, names: &'n [&'n str]) -> Vec<&'n Node> {
        names
            .iter()
            .fold(vec![self], |nodes, name| nodes.into_iter().flat_map(|node| node.all(name)).collect())
    }

    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == attribute).map(|(_, value)| value.as_str())
    }
}

fn node(start: &quick_xml::events::BytesStart<'_>) -> Node {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.unwrap();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
        (attribute.key.as_ref().to_owned(), value.into_owned())
    });
    Node { name: start.name().as_ref().to_owned(), attributes: attributes.collect(), children: Vec::new() }
}

/// What a client would download.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Download {
    pub(crate) version: String,
    pub(crate) url: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Vec<u8>,
}

/// update_engine's error for an answer that it does not understand (`kActionCodeOmahaResponseInvalid`).
const RESPONSE_INVALID: u32 = 34;

/// `OmahaRequestAction::TransferComplete`: the first of everything; only `ok` and `noupdate` are not failures.
pub(crate) fn update_engine(answer: &str) -> Result<Option<Download>, u32> {
    let response = Node::document(answer);
    let checks = response.path(&["app", "updatecheck"]);
    let check = checks.first().ok_or(RESPONSE_INVALID)?;
    match check.get("status") {
        Some("noupdate") => return Ok(None),
        Some("ok") => {}
        _ => return Err(RESPONSE_INVALID),
    }
    offer(check).ok_or(RESPONSE_INVALID).map(Some)
}

fn offer(check: &Node) -> Option<Download> {
    let manifest = check.all("manifest").next()?;
    let codebase =
        check.path(&["urls", "url"]).first()?.get("codebase").filter(|text| !text.is_empty())?.to_owned();
    let slash = if codebase.ends_with('/') { "" } else { "/" };
    let package = *manifest.path(&["packages", "package"]).first()?;
    let name = package.get("name").filter(|text| !text.is_empty())?;
    let actions = manifest.path(&["actions", "action"]);
    let action = actions.into_iter().find(|action| action.get("event") == Some("postinstall"))?;
    let digest = action.get("sha256").filter(|text| !text.is_empty())?;
    Some(Download {
        version: manifest.get("version")?.to_owned(),
        url: format!("{codebase}{slash}{name}"),
        size_bytes: package.get("size")?.parse().ok().filter(|size| *size > 0)?,
        sha256: Base64::decode_vec(digest).ok()?,
    })
}

/// ue-rs' `response.rs`: strict, knows offers only, joins URLs as browsers do, takes the last manifest.
pub(crate) fn ue_rs(answer: &str) -> Option<Download> {
    let response = Node::document(answer);
    response.get("protocol")?;
    let app = response.all("app").next()?;
    let app_id = app.get("appid")?.trim_matches(['{', '}']);
    let is_uuid = app_id.len() == 36 && app_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    app.get("status").filter(|_| is_uuid)?;
    let check = app.all("updatecheck").next()?;
    check.get("status")?;
    let codebase = check.path(&["urls", "url"]).first()?.get("codebase")?.to_owned();
    let directory = &codebase[..=codebase.rfind('/')?];
    let manifest = check.all("manifest").last()?;
    let package = *manifest.path(&["packages", "package"]).first()?;
    package.get("required").filter(|text| ["true", "false", "1", "0"].contains(text))?;
    let hex = package.get("hash_sha256")?;
    let digest = (0..64).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
    for action in manifest.path(&["actions", "action"]) {
        action
            .get("event")
            .filter(|text| ["preinstall", "install", "postinstall", "update"].contains(text))?;
        assert_eq!(Base64::decode_vec(action.get("sha256")?).ok()?.len(), 32);
    }
    Some(Download {
        version: manifest.get("version")?.to_owned(),
        url: format!("{directory}{}", package.get("name")?),
        size_bytes: package.get("size")?.parse().ok()?,
        sha256: digest.collect::<Option<_>>().filter(|_| hex.len() == 64)?,
    })
}
