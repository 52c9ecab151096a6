//! Keys and signatures from outside: what OpenSSL makes is read, what it would refuse is refused, bytes are pinned.

mod fixtures;
mod keys;
mod signing;
