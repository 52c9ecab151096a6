//! Append-only record of instances and events, and its projections, in SQLite.
