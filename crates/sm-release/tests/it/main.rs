//! Tests that hold the rules against the real world.

mod bundle;
mod history;
mod properties;
mod train;
mod world;
