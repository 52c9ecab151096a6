//! Recipe to lock to tree to images: a pure plan, then a run.
