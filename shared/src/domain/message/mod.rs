//! Text messages: what they say, in which alphabet, and what became of one that was handed over.

pub mod delivery;
pub mod route;
pub mod text;
