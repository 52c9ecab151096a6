//! Debian archives as values: version order, control data, signed indexes, dependency resolution.
