//! The phone number as a factor: its states, the code that is out, and the limits on sends and guesses. A second kind of factor gets
//! a room of its own beside this one.

pub mod challenge;
pub mod code;
pub mod factor;
pub mod lockout;
pub mod send_window;
