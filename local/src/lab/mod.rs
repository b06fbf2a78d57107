//! What the local server has for who looks: a page that shows the service at work, and levers that move what is around it.
//!
//! Nothing here is part of the service. It sees requests as an observer of theirs, and text messages through the inbox.

mod events;
mod levers;
mod page;
mod phone;
mod routes;
mod sight;
mod wire;

pub(crate) use levers::Table;
pub(crate) use routes::{own_routes, watched};
pub(crate) use sight::{Lab, Parts, Sight};
