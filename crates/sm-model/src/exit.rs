//! Exit codes of every program we ship. Scripts rely on them: a number, once given, keeps its meaning.

/// The work was done.
pub const SUCCESS: u8 = 0;
/// The work failed for a reason that no other code names.
pub const FAILURE: u8 = 1;
/// The command line was not understood (clap's own code).
pub const USAGE: u8 = 2;
/// A document we own is wrong: recipe, lock, configuration.
pub const INVALID_INPUT: u8 = 3;
/// Signature, digest or root hash does not match: somebody changed bytes, or a key is wrong.
pub const VERIFICATION: u8 = 4;
/// The network or a server did not deliver.
pub const NETWORK: u8 = 5;
/// The package set cannot be resolved, or a locked package has vanished from the archive.
pub const UNRESOLVED: u8 = 6;
/// The disk is full, or a file could not be read or written.
pub const STORAGE: u8 = 7;
/// The work was done and its answer is no: artifacts differ, a test failed, the host is not healthy.
pub const NEGATIVE: u8 = 8;
/// A machine needed for the work could not be started: QEMU, firmware, memory.
pub const MACHINE: u8 = 9;
/// The work was done as far as it could be, and there is no answer: a required test has no result.
pub const UNJUDGED: u8 = 10;

/// Every code with the sentence that the manual prints for it.
pub const TABLE: [(u8, &str); 11] = [
    (SUCCESS, "the work was done"),
    (FAILURE, "the work failed for a reason that no other code names"),
    (USAGE, "the command line was not understood"),
    (INVALID_INPUT, "a recipe, lock or configuration is wrong"),
    (VERIFICATION, "a signature, digest or root hash does not match"),
    (NETWORK, "the network or a server did not deliver"),
    (UNRESOLVED, "packages cannot be resolved, or a locked one has vanished from the archive"),
    (STORAGE, "the disk is full, or a file could not be read or written"),
    (NEGATIVE, "the work was done and its answer is no"),
    (MACHINE, "a virtual machine could not be started"),
    (UNJUDGED, "no answer: a required test could not be carried out, or was not run"),
];
