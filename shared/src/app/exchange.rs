//! One exchange: a request, what a function does to answer it, and the trace that it leaves.

use std::{net::IpAddr, time::Duration};

use serde_json::json;

use super::{App, Sender};
use crate::{
    adapters::{
        assertion_keys::{Unsigned, name_of},
        dynamodb::DynamoStore,
    },
    api::{
        auth::Authenticated,
        problem::Problem,
        request::Request,
        response::{self, Response},
        route::PublicDocument,
    },
    domain::{Assertion, Nonce, PhoneNumber, Timestamp, UserId},
    observability::{log, metrics::RequestMetrics},
    ports::{Deadline, Origin},
    use_cases::{Caller, Failure, Granted, RequestStats, Session},
};

impl App {
    /// When a request that comes now must have been answered, where its host sets no other time.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.request_time)
    }

    /// The assertion of what was granted to `caller`: its name, and its text. `None` where there is nothing to assert, or no key.
    fn assertion(&self, granted: &Granted, caller: &Caller, nonce: Option<Nonce>) -> Option<(String, Result<String, Unsigned>)> {
        let keys = self.assertion_keys.as_ref()?;
        let mut rng = self.service.rng();
        let assertion = Assertion::of(&granted.answer, &caller.user, nonce, self.service.now(), &mut *rng)?;
        Some((name_of(&assertion), keys.sign(&assertion)))
    }

    /// Asks the table for something, so that it is known to answer.
    ///
    /// # Errors
    /// When it does not, for `patience`.
    pub async fn check_storage(&self, patience: Duration) -> Result<(), Failure> {
        let operator = Caller { user: UserId::operator(), origin: Origin::default() };
        let mut stats = RequestStats::default();
        self.service.session(&operator, Deadline::after(patience), &mut stats).account().await.map(drop)
    }

    /// Begins to answer `request` for the function of this name.
    pub fn exchange<'a>(&'a self, function: &'static str, request: &'a Request) -> Exchange<'a> {
        let started = self.service.now();
        let deadline = request.context.deadline.unwrap_or_else(|| self.deadline());
        Exchange {
            app: self,
            function,
            request,
            deadline,
            started,
            user: None,
            assertion_id: None,
            address: request.context.address,
            stats: RequestStats::default(),
        }
    }
}

/// One request and the answer to it.
pub struct Exchange<'a> {
    /// The request.
    pub request: &'a Request,
    app: &'a App,
    function: &'static str,
    deadline: Deadline,
    started: Timestamp,
    user: Option<UserId>,
    /// The name of the assertion that the answer has.
    assertion_id: Option<String>,
    /// The address that counts (S13): the token's, where it names one, or else the host's.
    address: Option<IpAddr>,
    /// What the request does, for its log line and its metrics.
    stats: RequestStats,
}

impl Exchange<'_> {
    /// Who is calling, as the request's token says, and from where.
    ///
    /// # Errors
    /// When the request has no credentials, or bad ones, or the keys that would tell cannot be reached.
    pub async fn authenticate(&mut self) -> Result<Caller, Problem> {
        let Authenticated { user, address } = self.app.authenticator.authenticate(self.request).await.map_err(|error| {
            tracing::info!(request_id = self.request.id(), %error, "the caller is not known");
            Problem::from_auth(error, self.app.environment)
        })?;
        self.user = Some(user.clone());
        self.address = address.or(self.address);
        Ok(Caller { user, origin: Origin { address: self.address, ..self.request.origin() } })
    }

    /// The phone number that this text stands for.
    ///
    /// # Errors
    /// When it is not a phone number, or not one that `caller` may enroll.
    pub fn phone_number(&self, text: &str, caller: &Caller) -> Result<PhoneNumber, Problem> {
        Ok(self.app.service.phone_number(text, &caller.user)?)
    }

    /// When the request must have been answered.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// What `caller` can do, until the request must have been answered.
    pub fn session<'s>(&'s mut self, caller: &'s Caller) -> Session<'s, DynamoStore, Sender> {
        let deadline = self.deadline();
        self.app.service.session(caller, deadline, &mut self.stats)
    }

    /// The answer to a command.
    ///
    /// # Errors
    /// When it was not granted.
    pub fn answer(&self, result: Result<Granted, Failure>) -> Result<Response, Problem> {
        result.map(|granted| response::granted(&granted, None, self.request.id())).map_err(|failure| self.problem(failure))
    }

    /// The same, with an assertion of what `caller` has proven, bound to `nonce`, where assertions are signed and this is one (S27).
    ///
    /// # Errors
    /// When it was not granted.
    pub fn answer_with_assertion(
        &mut self,
        result: Result<Granted, Failure>,
        caller: &Caller,
        nonce: Option<Nonce>,
    ) -> Result<Response, Problem> {
        let granted = result.map_err(|failure| self.problem(failure))?;
        let assertion = self.app.assertion(&granted, caller, nonce);
        // What was granted is stored, and stays granted: a code is spent, whether an assertion could be signed or not.
        let signed = assertion.and_then(|(id, signed)| match signed {
            Ok(signed) => {
                self.assertion_id = Some(id);
                Some(signed)
            }
            Err(error) => {
                tracing::error!(request_id = self.request.id(), %error, "an answer lacks its assertion");
                None
            }
        });
        Ok(response::granted(&granted, signed, self.request.id()))
    }

    /// One of the documents that everybody may read.
    ///
    /// # Errors
    /// When there is none, since no assertions are signed.
    pub fn public_document(&self, document: PublicDocument) -> Result<Response, Problem> {
        let keys = self.app.assertion_keys.as_ref().ok_or(Problem::NotFound)?;
        let id = self.request.id();
        Ok(match document {
            PublicDocument::Configuration => {
                let issuer = keys.issuer();
                let jwks_uri = format!("{issuer}/.well-known/jwks.json");
                response::public("application/json", &json!({"issuer": issuer, "jwks_uri": jwks_uri}), id)
            }
            PublicDocument::Keys => response::public("application/jwk-set+json", &json!({"keys": keys.published()}), id),
        })
    }

    /// The problem that a failure is to the client.
    pub fn problem(&self, failure: Failure) -> Problem {
        Problem::from_failure(failure, self.app.service.policy())
    }

    /// Ends the exchange: logs it, once, and hands out the answer.
    pub fn end(self, result: Result<Response, Problem>) -> Response {
        let (outcome, reason) = match &result {
            Ok(_) => ("success", None),
            Err(problem) => (problem.code(), problem.reason()),
        };
        let response = result.unwrap_or_else(|problem| problem.into_response(self.request.id()));
        let at = self.app.service.now();
        let total = at.since(self.started);
        if let Some(metrics) = &self.app.metrics {
            metrics.emit(&RequestMetrics { function: self.function, outcome, total, stats: &self.stats, at });
        }
        let source = self.address.map(|address| self.app.service.address_pseudonym(address));
        let summary = log::RequestSummary {
            request_id: self.request.id(),
            user: self.user.as_ref(),
            source: source.as_deref(),
            function: self.function,
            method: &self.request.method,
            outcome,
            reason,
            status: response.status(),
            assertion: self.assertion_id.as_deref(),
            total,
            stats: &self.stats,
        };
        log::log_request(&summary);
        if let Some(observer) = &self.app.observer {
            observer.ended(&summary);
        }
        response
    }
}
