//! The whole chain as resumable steps: compose, serve, update, fall back.
