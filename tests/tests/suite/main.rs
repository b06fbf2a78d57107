//! The one integration binary: a module a feature, names that are sentences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod emulator;
mod layering;
mod local_stack;
mod providers;
mod races;
