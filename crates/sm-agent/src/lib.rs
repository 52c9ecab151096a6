//! The update agent that runs on every Boxcar host.
