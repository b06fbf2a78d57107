//! Every interleaving of a few requests: the real use cases and the real `decide` on a table and a provider whose every step, loss and
//! delay is a choice, tried one after the other until all were tried.
//!
//! A schedule is a list of choices. It is run from the beginning, on its own copy of a table that was prepared by real requests; the
//! next one differs in the last choice that has another way left. So what is found can be run again, and is shown step by step.

pub mod choices;
pub mod client;
pub mod ports;
pub mod properties;
pub mod run;
pub mod scenarios;
pub mod table;
pub mod world;
