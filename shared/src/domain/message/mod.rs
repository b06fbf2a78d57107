//! Text messages: what they say, in which alphabet, in which order providers are asked, and what became of one that was handed over.

pub mod delivery;
pub mod gsm7;
pub mod notification;
pub mod route;
pub mod text;
