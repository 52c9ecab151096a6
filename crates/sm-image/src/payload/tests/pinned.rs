//! Bytes that must never change: hosts in the field read them.
//!
//! The expected bytes were not made by the writer under test: an independent program wrote them by delta_generator's
//! rules, with Google's protobuf library (from `update_metadata.proto`), libbz2 and OpenSSL.

use sha2::Digest;

use super::*;
use crate::payload::write::CHUNK_LEN;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_head_of_the_smallest_payload_is_known_to_the_byte() {
    let payload = build(&noise(4096, 31), b"uki");
    let header = "4372415500000000000000010000000000000111";
    let operation = "0a3008001000188020320508001080024220\
                     ace07d9d96d9ed22cf563c4dce48ad1a6f20836d53d851856e589010404c4a20";
    let noop_kernel = "123808001080201803320d08ffffffffffffffffff0110014220\
                       80fb8ca44e023de8e3dc31cb8670de3bbc52f4904f64e6d1bf3707909bb625c6";
    let noop_signatures = "12170800108320188802320d08ffffffffffffffffff011001";
    let sizes = "1880202083202888024a25088020\
                 1220ace07d9d96d9ed22cf563c4dce48ad1a6f20836d53d851856e589010404c4a20";
    let kernel = "525a08001230080010802018033205080010800242208\
                  0fb8ca44e023de8e3dc31cb8670de3bbc52f4904f64e6d1bf3707909bb625c6\
                  2224080312208\
                  0fb8ca44e023de8e3dc31cb8670de3bbc52f4904f64e6d1bf3707909bb625c6";
    let expected = [header, operation, noop_kernel, noop_signatures, sizes, kernel].concat();
    assert_eq!(hex(&payload[..payload.len() - 264 - 4099]), expected);
    assert_eq!(
        hex(&sha2::Sha256::digest(&payload)),
        "215ff0e29370bd1e5be195d321748f667d76bbab61a5c408586fe6fdbe3463f1"
    );
}

#[test]
fn compressed_uncompressed_zero_and_short_chunks_are_known_to_the_byte() {
    let partition = [text(CHUNK_LEN), noise(CHUNK_LEN, 32), vec![0; CHUNK_LEN], noise(8192, 33)].concat();
    for compression in [Compression::Bzip2Always, Compression::Auto] {
        let (payload, _) = try_build(&partition, Some(&text(CHUNK_LEN + 1234)), compression).unwrap();
        assert_eq!(payload.len(), 1_122_864);
        assert_eq!(
            hex(&sha2::Sha256::digest(&payload)),
            "336de43da9868ba0cea7f13244a9c4fd3f48c20df56cfbf7a5c1a68f6c8bc3e1"
        );
    }
}
