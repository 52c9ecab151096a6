//! The fields of one protobuf message, in place: no copy, no allocation, no recursion.
//!
//! Source: protobuf encoding guide. Unknown fields are skipped, as the format's rule for later additions asks.

use sm_model::Sha256;

use super::Malformed;

const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// Iterates over the fields of a message.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// One field: its number and its undecoded value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    value: Value<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed-width numbers, which no known message of a payload has.
    Fixed,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let tag = self.varint()?;
        let number = match tag >> 3 {
            number @ 1..=MAX_FIELD_NUMBER => number as u32,
            number => return Err(Malformed::FieldNumber(number)),
        };
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let n_bytes = self.varint()?;
                Value::Bytes(self.take(n_bytes)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            wire_type => return Err(Malformed::WireType(wire_type as u8)),
        };
        Ok(Field { number, value })
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed::Overlong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Overlong)
    }

    fn take(&mut self, n_bytes: u64) -> Result<&'a [u8], Malformed> {
        let taken = usize::try_from(n_bytes).ok().and_then(|n| self.rest.split_at_checked(n));
        let (taken, rest) = taken.ok_or(Malformed::CutShort(self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    pub(super) fn number_u64(&self, name: &'static str) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(Malformed::FieldType(name)),
        }
    }

    pub(super) fn number_u32(&self, name: &'static str) -> Result<u32, Malformed> {
        let number = self.number_u64(name)?;
        u32::try_from(number).map_err(|_| Malformed::Above32Bits(name, number))
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::FieldType(name)),
        }
    }

    pub(super) fn sha256(&self, name: &'static str) -> Result<Sha256, Malformed> {
        let bytes = self.bytes(name)?;
        bytes.try_into().map(Sha256).map_err(|_| Malformed::DigestLength(name, bytes.len()))
    }
}

/// Fills the place of a field that occurs at most once.
pub(super) fn set_once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Twice(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
        Fields::new(message).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_fields_or_an_error(message: Vec<u8>) {
            let _ = fields(&message);
        }
    }

    #[test]
    fn the_guides_own_examples_are_read() {
        assert_eq!(fields(&[0x08, 0x96, 0x01]), Ok(vec![Field { number: 1, value: Value::Varint(150) }]));
        let text = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(fields(&text), Ok(vec![Field { number: 2, value: Value::Bytes(b"testing") }]));
    }

    #[test]
    fn the_largest_number_is_read_and_one_more_is_refused() {
        let largest = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fields(&largest), Ok(vec![Field { number: 1, value: Value::Varint(u64::MAX) }]));
        let beyond = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(fields(&beyond), Err(Malformed::Overlong));
        assert_eq!(fields(&[&[0x08][..], &[0x80; 11]].concat()), Err(Malformed::Overlong));
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        assert_eq!(fields(&[0x12, 0x05, 1, 2]), Err(Malformed::CutShort(2)));
        let huge = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fields(&huge), Err(Malformed::CutShort(0)));
        assert_eq!(fields(&[0x80]), Err(Malformed::CutShort(0)));
    }

    #[test]
    fn groups_and_field_number_zero_are_refused() {
        assert_eq!(fields(&[0x0b]), Err(Malformed::WireType(3)));
        assert_eq!(fields(&[0x00, 0x01]), Err(Malformed::FieldNumber(0)));
    }
}
