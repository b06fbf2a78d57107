//! The HTTP edge: what a request means, who is calling, and how it is answered. Only `gateway_event` knows API Gateway; the other
//! files serve any host.

pub mod auth;
pub mod body;
pub mod gateway_event;
pub mod problem;
pub mod request;
pub mod response;
pub mod route;

pub use auth::{AuthError, Authenticator};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
pub use route::Route;
