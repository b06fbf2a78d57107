//! Routes: which endpoint a request means, and what it asks that endpoint to do.

use http::Method;

use super::{problem::Problem, request::Request};

/// The endpoints, each a function of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// [`SETUP`]
    Setup,
    /// [`SEND_SMS`]
    SendSms,
    /// [`VERIFY`]
    Verify,
}

impl Route {
    /// The endpoint that the request means, with any method; `None` if its path is not one of theirs.
    pub fn of(request: &Request) -> Option<Self> {
        request.paths().find_map(Self::at)
    }

    /// The endpoint at this path, with or without the trailing slash; `None` if there is none.
    pub fn at(path: &str) -> Option<Self> {
        [(SETUP.is_at(path), Self::Setup), (SEND_SMS.is_at(path), Self::SendSms), (VERIFY.is_at(path), Self::Verify)]
            .into_iter()
            .find_map(|(is_at, route)| is_at.then_some(route))
    }

    /// The methods that the endpoint knows, as an `Allow` header says them.
    pub fn allow(self) -> String {
        match self {
            Self::Setup => SETUP.allow(),
            Self::SendSms => SEND_SMS.allow(),
            Self::Verify => VERIFY.allow(),
        }
    }
}

/// What everybody may read without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicDocument {
    /// Who signs assertions, and where their keys are.
    Configuration,
    /// The keys themselves.
    Keys,
}

/// `/api/v1/auth/2fa/.well-known/openid-configuration` (`OpenID` Connect Discovery 1.0, 4), which is what JWT authorizers ask for.
pub const CONFIGURATION: Endpoint<PublicDocument> = Endpoint {
    path: "/api/v1/auth/2fa/.well-known/openid-configuration",
    actions: &[(Method::GET, PublicDocument::Configuration)],
};

/// `/api/v1/auth/2fa/.well-known/jwks.json`
pub const KEYS: Endpoint<PublicDocument> =
    Endpoint { path: "/api/v1/auth/2fa/.well-known/jwks.json", actions: &[(Method::GET, PublicDocument::Keys)] };

impl PublicDocument {
    /// The document that the request asks for.
    ///
    /// # Errors
    /// As [`Endpoint::action`].
    pub fn of(request: &Request) -> Result<Self, Problem> {
        match CONFIGURATION.action(request) {
            Err(Problem::NotFound) => KEYS.action(request),
            result => result,
        }
    }
}

/// What `setup` can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupAction {
    /// POST: enroll a number, or replace it.
    Start,
    /// GET: say where the user stands.
    Status,
    /// DELETE: turn 2FA off.
    Disable,
}

/// One endpoint: its path and, for each of its methods, what that does.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<A: 'static> {
    /// The path, without its trailing slash.
    path: &'static str,
    actions: &'static [(Method, A)],
}

/// `/api/v1/auth/2fa/setup/`
pub const SETUP: Endpoint<SetupAction> = Endpoint {
    path: "/api/v1/auth/2fa/setup",
    actions: &[(Method::POST, SetupAction::Start), (Method::GET, SetupAction::Status), (Method::DELETE, SetupAction::Disable)],
};

/// `/api/v1/auth/2fa/send-sms/`
pub const SEND_SMS: Endpoint<()> = Endpoint { path: "/api/v1/auth/2fa/send-sms", actions: &[(Method::POST, ())] };

/// `/api/v1/auth/2fa/verify/`
pub const VERIFY: Endpoint<()> = Endpoint { path: "/api/v1/auth/2fa/verify", actions: &[(Method::POST, ())] };

impl<A: Copy> Endpoint<A> {
    /// The path, without its trailing slash.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The methods that it knows.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> + use<A> {
        self.actions.iter().map(|(method, _)| method)
    }

    /// What the request asks this endpoint to do.
    ///
    /// # Errors
    /// [`Problem::NotFound`] if another path is meant, [`Problem::MethodNotAllowed`] if the endpoint does not know the method.
    pub fn action(&self, request: &Request) -> Result<A, Problem> {
        if !self.is_meant_by(request) {
            return Err(Problem::NotFound);
        }
        self.actions
            .iter()
            .find(|(method, _)| *method == request.method)
            .map(|&(_, action)| action)
            .ok_or_else(|| Problem::MethodNotAllowed { allow: self.allow() })
    }

    fn is_meant_by(&self, request: &Request) -> bool {
        request.paths().any(|path| self.is_at(path))
    }

    /// Whether this is its path, with or without the trailing slash.
    fn is_at(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path) == self.path
    }

    fn allow(&self) -> String {
        self.methods().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}
