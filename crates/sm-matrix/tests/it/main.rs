//! A room of a homeserver that is up, down, slow, forgetful, repetitive or hostile.

mod room;
