//! From an operation's data as stored to the bytes it writes.

use std::borrow::Cow;

use bzip2::{Decompress, Status};

use super::{Kind, Operation, ReadError};

/// The bytes that `operation` writes. `data` was checked against its digest.
pub(super) fn unpack<'a>(operation: &Operation, data: &'a [u8]) -> Result<Cow<'a, [u8]>, ReadError> {
    let wrong_length =
        ReadError::UnpackedLength { operation: operation.name, expected_bytes: operation.target_len };
    match operation.kind {
        Kind::Replace if data.len() == operation.target_len as usize => Ok(Cow::Borrowed(data)),
        Kind::Replace => Err(wrong_length),
        Kind::ReplaceBzip2 => match inflate(data, operation.target_len as usize) {
            Ok(Some(bytes)) => Ok(Cow::Owned(bytes)),
            Ok(None) => Err(wrong_length),
            Err(source) => Err(ReadError::Unpack { operation: operation.name, source }),
        },
    }
}

/// Inflates one stream that must end with `data` and give exactly `len` bytes; never allocates more than one above.
fn inflate(data: &[u8], len: usize) -> Result<Option<Vec<u8>>, bzip2::Error> {
    let mut bytes = vec![0; len + 1];
    let mut stream = Decompress::new(false);
    loop {
        let (taken, given) = (stream.total_in() as usize, stream.total_out() as usize);
        let status = stream.decompress(&data[taken..], &mut bytes[given..])?;
        let (taken_now, given_now) = (stream.total_in() as usize, stream.total_out() as usize);
        if status == Status::StreamEnd {
            bytes.truncate(len);
            return Ok((taken_now == data.len() && given_now == len).then_some(bytes));
        }
        if given_now > len || (taken_now, given_now) == (taken, given) {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        bzip2::read::BzEncoder::new(bytes, bzip2::Compression::best()).read_to_end(&mut data).unwrap();
        data
    }

    #[test]
    fn a_stream_of_exactly_the_length_is_given_back() {
        let bytes = b"usr".repeat(1000);
        assert_eq!(inflate(&deflate(&bytes), bytes.len()), Ok(Some(bytes)));
    }

    #[test]
    fn a_bomb_stops_at_one_byte_too_many() {
        let bomb = deflate(&vec![0; 32 << 20]);
        assert!(bomb.len() < 200);
        assert_eq!(inflate(&bomb, 4096), Ok(None));
    }

    #[test]
    fn a_short_stream_a_cut_stream_and_bytes_after_the_stream_are_refused() {
        let data = deflate(b"kernel");
        assert_eq!(inflate(&data, 7), Ok(None));
        assert_eq!(inflate(&data[..data.len() - 1], 6), Ok(None));
        assert_eq!(inflate(&[&data[..], b"x"].concat(), 6), Ok(None));
    }

    #[test]
    fn bytes_that_are_no_stream_are_refused() {
        assert!(inflate(b"not bzip2 at all", 16).is_err());
    }
}
