//! The outside world: processes, bounded HTTP, atomic files, the clock, QEMU; each with a fake.
