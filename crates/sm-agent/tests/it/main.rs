//! A whole host made of ordinary files: a disk with two slots, an EFI system partition, sysfs; and an update server that answers
//! from a table. The real agent runs on it, in good times and bad.

mod command_line;
mod host;
mod journeys;
mod power_cuts;
mod release;
mod tampering;
