//! The HTTP edge: reads what a gateway hands over, says who is calling, and writes answers. Knows no AWS service.

pub mod auth;
pub mod gateway_event;
pub mod problem;
pub mod request;
pub mod response;

pub use auth::{AuthError, Authenticator};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
