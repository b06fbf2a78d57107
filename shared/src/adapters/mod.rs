//! What the ports mean in the world: storage, providers, the clock.

pub mod sms;
