//! Protobuf encoding of the few shapes that a payload has (protobuf encoding guide), and the signatures message.

use super::SIGNATURE_LEN;
use crate::payload::schema::{signature, signatures as schema};

/// A message under construction. Fields go out in the order of the calls: keep them in rising number, as every
/// protobuf library serialises, so that the same content always has the same bytes.
#[derive(Debug, Default)]
pub(in crate::payload) struct Message(Vec<u8>);

impl Message {
    pub(in crate::payload) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    pub(in crate::payload) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(in crate::payload) fn message(self, field: u32, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub(in crate::payload) fn messages(self, field: u32, values: impl IntoIterator<Item = Message>) -> Self {
        values.into_iter().fold(self, |message, value| message.message(field, value))
    }

    pub(in crate::payload) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The `Signatures` message. Versions count up so that the last signature has version 2 (`payload_signer.cc`).
pub(in crate::payload) fn signatures(signatures: &[[u8; SIGNATURE_LEN]]) -> Vec<u8> {
    let first_version = 3u32.wrapping_sub(signatures.len() as u32);
    let one = |(index, data): (usize, &[u8; SIGNATURE_LEN])| {
        let version = first_version.wrapping_add(index as u32);
        Message::default().number(signature::VERSION, version.into()).bytes(signature::DATA, data)
    };
    Message::default().messages(schema::SIGNATURES, signatures.iter().enumerate().map(one)).into_bytes()
}

/// Length of the `Signatures` message for so many keys. It stands in the signed manifest, so it is needed before signing.
pub(in crate::payload) fn signatures_len(n_signatures: usize) -> u64 {
    signatures(&vec![[0; SIGNATURE_LEN]; n_signatures]).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_the_encoding_guide_prints_them() {
        assert_eq!(Message::default().number(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        let largest = Message::default().number(1, u64::MAX).into_bytes();
        assert_eq!(largest, [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn texts_are_as_the_encoding_guide_prints_them() {
        let text = Message::default().bytes(2, b"testing").into_bytes();
        assert_eq!(text, [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
    }

    #[test]
    fn one_signature_takes_264_bytes_and_has_version_2() {
        let message = signatures(&[[7; SIGNATURE_LEN]]);
        assert_eq!(message.len(), 264);
        assert_eq!(message[..8], [0x0a, 0x85, 0x02, 0x08, 0x02, 0x12, 0x80, 0x02]);
        assert_eq!(signatures_len(1), 264);
    }

    #[test]
    fn the_last_of_two_signatures_has_version_2() {
        let message = signatures(&[[1; SIGNATURE_LEN], [2; SIGNATURE_LEN]]);
        assert_eq!((message[4], message[264 + 4]), (1, 2));
    }
}
