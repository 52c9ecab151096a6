//! The server over real TCP: what clients send, what they make of the answers, and what hostile ones try.

mod clients;
mod files;
mod hostile;
mod http;
mod lifecycle;
mod operator;
mod releases;
mod update;
mod world;
