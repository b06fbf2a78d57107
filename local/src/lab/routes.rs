//! The addresses of the lab. Each is there with and without a slash at its end.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use two_factor::{
    adapters::{development_token::TOKEN_LIFE, system::SystemClock},
    domain::{Provider, UserId},
    ports::{Clock as _, Origin},
    use_cases::{Caller, RequestStats},
};

use super::{
    events::Event,
    levers::{NoReset, NoTrouble, Until},
    page,
    phone::Filter,
    sight::Lab,
    wire,
};
use crate::{messages::Messages, web_pages::refusal};

/// How far back an audit trail is read for the records of one request.
const TRAIL: usize = 200;

/// The service's `endpoints`, watched, with what programs and pages of other origins may use where they may use those.
pub(crate) fn watched(endpoints: Router, lab: &Arc<Lab>) -> Router {
    let Lab { sight, parts } = &**lab;
    let endpoints = if parts.is_development {
        endpoints.layer(middleware::from_fn_with_state(Arc::clone(&sight.wire), wire::record))
    } else {
        endpoints
    };
    let mut routes = Router::new();
    if parts.moves_clock {
        routes = at("/_clock", || get(show_clock).post(advance), routes);
    }
    if matches!(parts.messages, Messages::Inbox(_)) {
        routes = at("/_inbox", || get(show_inbox).delete(empty_inbox), routes);
        routes = at("/_inbox.json", || get(inbox_as_json).delete(empty_inbox), routes);
    }
    endpoints.merge(routes.with_state(Arc::clone(lab)))
}

/// What the page alone uses, and programs of this machine: it tells codes and makes tokens.
pub(crate) fn own_routes(lab: Arc<Lab>) -> Router {
    if !lab.parts.is_development {
        return Router::new();
    }
    let routes = Router::new();
    let routes = at("/_lab", || get(about), routes);
    let routes = at("/_token", || post(token), routes);
    let routes = at("/_events", || get(news), routes);
    let routes = at("/_wire", || get(exchanges), routes);
    let routes = at("/_wire/{id}", || get(exchange), routes);
    let routes = at("/_provider", || get(show_provider).post(fail), routes);
    let routes = at("/_reset", || post(reset), routes);
    routes.with_state(lab).merge(page::router())
}

fn at(path: &str, handlers: impl Fn() -> MethodRouter<Arc<Lab>>, routes: Router<Arc<Lab>>) -> Router<Arc<Lab>> {
    routes.route(path, handlers()).route(&format!("{path}/"), handlers())
}

/// What there is here, for the page to show what it can do.
async fn about(State(lab): State<Arc<Lab>>) -> Json<Value> {
    let (messages, providers) = match &lab.parts.messages {
        Messages::Answers => ("answers", [].as_slice()),
        Messages::Nowhere => ("nowhere", [].as_slice()),
        Messages::Inbox(_) => ("inbox", [].as_slice()),
        Messages::Providers(providers) => ("providers", providers.as_slice()),
    };
    Json(json!({
        "messages": messages,
        "providers": providers.iter().map(|provider| Provider::as_str(*provider)).collect::<Vec<_>>(),
        "makes_tokens": lab.parts.mint.is_ok(),
        "moves_clock": lab.parts.moves_clock,
        "resets": lab.sight.levers.can_reset(),
    }))
}

/// Whom a token is for.
#[derive(Deserialize)]
struct For {
    user: String,
}

async fn token(State(lab): State<Arc<Lab>>, Json(For { user }): Json<For>) -> Response {
    if UserId::parse(&user).is_err() {
        return refusal(StatusCode::BAD_REQUEST, "A user has 1 to 128 characters.");
    }
    // By the system's clock, which judges tokens.
    let minted = lab.parts.mint.as_ref().map_err(|error| *error).and_then(|mint| mint.mint(&user, SystemClock.now(), TOKEN_LIFE));
    match minted {
        Ok(token) => ([(header::CACHE_CONTROL, "no-store")], Json(json!({"user": user, "token": token}))).into_response(),
        Err(error) => refusal(StatusCode::CONFLICT, &error.to_string()),
    }
}

/// Everything that happens, as server-sent events.
async fn news(State(lab): State<Arc<Lab>>) -> Response {
    lab.sight.events.stream(|_| true)
}

async fn exchanges(State(lab): State<Arc<Lab>>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(lab.sight.wire.exchanges())).into_response()
}

/// A request's line in the log, and its records in the audit trail.
async fn exchange(State(lab): State<Arc<Lab>>, Path(id): Path<String>) -> Response {
    let Some((user, line)) = lab.sight.wire.request(&id) else {
        return refusal(StatusCode::NOT_FOUND, "No request of this name is remembered.");
    };
    let app = &lab.parts.app;
    let trail = match user {
        Some(user) => {
            let (caller, mut stats) = operator_for(user);
            app.service.session(&caller, app.deadline(), &mut stats).audit_trail(TRAIL).await
        }
        None => Ok(Vec::new()),
    };
    let Ok(trail) = trail else { return refusal(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.") };
    let records: Vec<_> = trail.iter().filter(|entry| entry.request_id == id).map(wire::Record::from).collect();
    Json(json!({"log": line, "audit": records})).into_response()
}

/// The inbox: a page, JSON, or a stream of events, as `Accept` says.
async fn show_inbox(State(lab): State<Arc<Lab>>, Query(wanted): Query<Filter>, headers: HeaderMap) -> Response {
    let accepts = |media_type: &str| {
        let mut values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.contains(media_type))
    };
    if accepts("text/event-stream") {
        return lab.sight.events.stream(|event| matches!(event, Event::Message(_) | Event::Change | Event::Levers));
    }
    if lab.parts.is_development && accepts("text/html") {
        return page::inbox();
    }
    inbox_as_json(State(lab), Query(wanted)).await
}

async fn inbox_as_json(State(lab): State<Arc<Lab>>, Query(wanted): Query<Filter>) -> Response {
    let app = &lab.parts.app;
    let mut accounts = Vec::new();
    for user in lab.sight.phone.users() {
        let (caller, mut stats) = operator_for(user);
        if let Ok(Some(account)) = app.service.session(&caller, app.deadline(), &mut stats).account().await {
            accounts.push((caller.user, account));
        }
    }
    let messages = lab.sight.phone.shown(&wanted, &accounts, app.service.policy().code_max_attempts);
    ([(header::CACHE_CONTROL, "no-store")], Json(messages)).into_response()
}

async fn empty_inbox(State(lab): State<Arc<Lab>>, Query(unwanted): Query<Filter>) -> StatusCode {
    lab.sight.phone.forget(&unwanted);
    StatusCode::NO_CONTENT
}

async fn show_clock(State(lab): State<Arc<Lab>>) -> Json<Value> {
    Json(lab.sight.levers.time())
}

/// How far to move the clock.
#[derive(Deserialize)]
struct Step {
    advance_seconds: u64,
}

async fn advance(State(lab): State<Arc<Lab>>, Json(step): Json<Step>) -> Response {
    match lab.sight.levers.advance(Duration::from_secs(step.advance_seconds)) {
        Ok(()) => Json(lab.sight.levers.time()).into_response(),
        Err(problem) => refusal(StatusCode::BAD_REQUEST, &problem),
    }
}

async fn show_provider(State(lab): State<Arc<Lab>>) -> Json<Value> {
    Json(lab.sight.levers.provider())
}

/// How the provider is to fail; `null` and it works again.
#[derive(Deserialize)]
struct Wish {
    failure: Option<String>,
    #[serde(default)]
    until: Until,
}

async fn fail(State(lab): State<Arc<Lab>>, Json(wish): Json<Wish>) -> Response {
    match lab.sight.levers.trouble(wish.failure.as_deref(), wish.until).await {
        Ok(()) => Json(lab.sight.levers.provider()).into_response(),
        Err(no @ NoTrouble::NoProvider) => refusal(StatusCode::CONFLICT, &no.to_string()),
        Err(no @ NoTrouble::Unknown) => refusal(StatusCode::BAD_REQUEST, &no.to_string()),
    }
}

async fn reset(State(lab): State<Arc<Lab>>) -> Response {
    match lab.sight.levers.reset().await {
        Ok(()) => {
            lab.sight.forget();
            StatusCode::NO_CONTENT.into_response()
        }
        Err(no @ NoReset::Kept) => refusal(StatusCode::CONFLICT, &no.to_string()),
        Err(no @ NoReset::Table(_)) => refusal(StatusCode::SERVICE_UNAVAILABLE, &no.to_string()),
    }
}

/// Who looks at what is stored of `user`, as an operator does.
fn operator_for(user: UserId) -> (Caller, RequestStats) {
    (Caller { user, origin: Origin::default() }, RequestStats::default())
}
