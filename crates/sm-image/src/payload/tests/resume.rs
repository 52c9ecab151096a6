//! Going on after an interruption, in another process: only head, checkpoint and target survive.

use super::*;
use crate::payload::{read::Checkpoint, write::CHUNK_LEN};

fn sample() -> Vec<u8> {
    build(&[text(CHUNK_LEN), noise(2 * CHUNK_LEN, 6)].concat(), &text(CHUNK_LEN + 100))
}

/// Pushes the payload up to `cut`, and keeps what would be on the disk then.
fn until(payload: &[u8], cut: usize) -> (Memory, Option<(Vec<u8>, Checkpoint)>) {
    let mut memory = Memory::default();
    let mut installer = Installer::new(Limits::default(), None);
    installer.push(&payload[..cut], &mut memory).unwrap();
    let saved = installer.head().zip(installer.checkpoint());
    (memory, saved.map(|(head, checkpoint)| (head.to_vec(), checkpoint.clone())))
}

#[test]
fn from_wherever_it_was_cut_the_rest_completes_it() {
    let payload = sample();
    let whole = install(&payload, None, payload.len()).unwrap().0;
    for cut in
        (0..payload.len()).step_by(99_991).chain([payload.len() - 264, payload.len() - 1, payload.len()])
    {
        let (mut memory, saved) = until(&payload, cut);
        let Some((head, checkpoint)) = saved else {
            assert!(cut < 400, "{cut}");
            continue;
        };
        let offset = checkpoint.offset() as usize;
        assert!(offset <= cut, "{offset} {cut}");
        let mut installer = Installer::resume(Limits::default(), None, &head, &checkpoint).unwrap();
        installer.push(&payload[offset..], &mut memory).unwrap();
        let received = installer.finish(check).unwrap();
        assert!(memory == whole, "{cut}");
        assert_eq!(received.plan().total_len(), payload.len() as u64);
    }
}

#[test]
fn a_checkpoint_moves_only_at_the_end_of_an_operation() {
    let payload = sample();
    let (memory, Some((head, checkpoint))) = until(&payload, payload.len() / 2) else {
        panic!("the head has come")
    };
    let plan = crate::payload::read::Plan::parse(&head, &Limits::default()).unwrap();
    let done = &plan.operations()[..checkpoint.operations_done];
    let written: usize = done.iter().map(|operation| operation.target_len as usize).sum();
    assert_eq!(memory.partition.len() + memory.kernel.len(), written);
    let data: u64 = done.iter().map(|operation| u64::from(operation.data_len)).sum();
    assert_eq!(checkpoint.offset(), plan.head_len() + data);
}

#[test]
fn a_checkpoint_of_another_payload_or_with_another_count_is_refused() {
    let (one, other) = (sample(), build(&noise(4096, 7), b"kernel"));
    let (Some((head, checkpoint)), Some((foreign, _))) =
        (until(&one, one.len() / 2).1, until(&other, other.len()).1)
    else {
        panic!("both heads have come")
    };
    let refused = |head: &[u8], checkpoint: &Checkpoint| {
        matches!(
            Installer::resume(Limits::default(), None, head, checkpoint),
            Err(ReadError::ForeignCheckpoint)
        )
    };
    assert!(refused(&foreign, &checkpoint));
    for operations_done in [checkpoint.operations_done - 1, checkpoint.operations_done + 1, usize::MAX] {
        assert!(refused(&head, &Checkpoint { operations_done, ..checkpoint.clone() }), "{operations_done}");
    }
}

#[test]
fn a_checkpoint_whose_hash_was_tampered_with_ends_unsigned() {
    let payload = sample();
    let (mut memory, Some((head, checkpoint))) = until(&payload, payload.len() / 2) else {
        panic!("the head has come")
    };
    let digits = checkpoint.hash.to_string();
    let flipped = if digits.starts_with('0') { "1" } else { "0" };
    let hash = format!("{flipped}{}", &digits[1..]).parse().unwrap();
    let forged = Checkpoint { hash, ..checkpoint };
    let mut installer = Installer::resume(Limits::default(), None, &head, &forged).unwrap();
    installer.push(&payload[forged.offset() as usize..], &mut memory).unwrap();
    assert!(matches!(installer.finish(check), Err(ReadError::Signature(_))));
}
