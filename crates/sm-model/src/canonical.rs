//! The one spelling of a document as bytes, for digests and signatures: JSON without white space, keys in byte order.
//!
//! For documents with ASCII keys and whole numbers, which all of ours are, this is RFC 8785 (JSON Canonicalization Scheme).

use serde::Serialize;

/// The document's canonical bytes. Changing this breaks every signature ever made.
///
/// # Errors
/// When the document has something that JSON cannot hold: a map whose keys are no texts, a number that is not finite.
pub fn to_text<T: Serialize>(document: &T) -> Result<String, serde_json::Error> {
    // The map behind a `Value` is sorted by key.
    serde_json::to_value(document).map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_nothing_is_spaced() {
        let document = serde_json::json!({ "b": [1, { "z": null, "a": "é\n\u{1}" }], "a": true });
        assert_eq!(to_text(&document).unwrap(), "{\"a\":true,\"b\":[1,{\"a\":\"é\\n\\u0001\",\"z\":null}]}");
    }

    #[test]
    fn the_order_of_fields_in_code_does_not_matter() {
        #[derive(Serialize)]
        struct One {
            b: u8,
            a: u8,
        }
        #[derive(Serialize)]
        struct Other {
            a: u8,
            b: u8,
        }
        assert_eq!(to_text(&One { b: 1, a: 2 }).unwrap(), to_text(&Other { a: 2, b: 1 }).unwrap());
    }
}
