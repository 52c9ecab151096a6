//! Tests that hold the rules against the real world.

mod history;
mod properties;
mod train;
mod world;
