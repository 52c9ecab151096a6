//! Tests that hold the rules against the real world.

mod bundle;
mod history;
mod properties;
mod room;
mod train;
mod world;
