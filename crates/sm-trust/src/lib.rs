//! Keys, signatures and the evidence that something was verified.
