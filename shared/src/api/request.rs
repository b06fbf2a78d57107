//! A request as every host hands it over: what the client sent, and what the host itself says of it.

use std::{fmt, net::IpAddr};

use http::{HeaderMap, Method, header::USER_AGENT};
use serde_json::{Map, Value};

use crate::ports::{Deadline, Origin};

/// A longer `User-Agent` is cut to so many characters.
const MAX_USER_AGENT_CHARS: usize = 256;

/// A request, whichever host it came through.
#[derive(Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The headers, as the client sent them: claims, not facts.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// What the host says of the request.
    pub context: HostContext,
}

/// A request's body.
#[derive(Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// These bytes; none if there is no body.
    Bytes(Vec<u8>),
    /// The host passed something on that cannot be turned back into what the client sent.
    Undecodable,
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

/// What the host says of a request. The client has no say in it.
#[derive(Clone, Default)]
pub struct HostContext {
    /// The request's identifier, in visible ASCII: every answer, log line and audit record names it.
    pub request_id: String,
    /// The address that the request came from (S13); `None` if the host does not know it.
    pub address: Option<IpAddr>,
    /// What stands before the API's own paths, such as `/prod`; `None` where nothing does.
    pub base_path: Option<String>,
    /// The claims of the token that the host has verified, as its issuer wrote them; `None` where it verifies none.
    pub claims: Option<Map<String, Value>>,
    /// When the request must have been answered (S25); `None` if the host sets no time.
    pub deadline: Option<Deadline>,
}

impl fmt::Debug for Request {
    /// Tells nothing of headers, body and claims: they hold tokens and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("request_id", &self.context.request_id)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// The request's identifier, which every answer and log line names.
    pub fn id(&self) -> &str {
        &self.context.request_id
    }

    /// The paths that the request may mean: its own, and what of it follows the host's base path.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let below_base = || self.path.strip_prefix(self.context.base_path.as_deref()?);
        [Some(self.path.as_str()), below_base()].into_iter().flatten()
    }

    /// Where the request came from, for the audit trail.
    pub fn origin(&self) -> Origin {
        let user_agent = self.headers.get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().filter(|character| !character.is_control()).take(MAX_USER_AGENT_CHARS).collect::<String>()
        });
        Origin {
            request_id: self.context.request_id.clone(),
            address: self.context.address,
            user_agent: user_agent.filter(|text| !text.is_empty()),
        }
    }
}
