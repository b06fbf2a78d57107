//! DynamoDB's protocol in front of the embedded database, for programs and not for web pages.
//!
//! dynoxide has a server too, which lets every web page read and write.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

use crate::web_pages;

/// The largest request that DynamoDB takes, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// How a container calls the machine that it runs on.
const HOST_OF_CONTAINERS: &str = "host.docker.internal";

struct Api {
    database: Database,
    requests: AtomicU64,
}

/// The routes of `database`. A request blocks the thread that it is answered on.
pub(crate) fn router(database: Database) -> Router {
    Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(refuse_web_pages))
        .with_state(Arc::new(Api { database, requests: AtomicU64::new(0) }))
}

async fn refuse_web_pages(request: Request, next: Next) -> Response {
    const SEC_FETCH_SITE: &str = "sec-fetch-site";
    let called = web_pages::called_as(request.uri(), request.headers());
    let is_ours = called.is_some_and(|called| {
        web_pages::is_loopback(&called) || web_pages::ip(&called).is_some() || called.host() == HOST_OF_CONTAINERS
    });
    if !is_ours {
        let message = "The database answers to addresses, localhost and host.docker.internal, so that no web page reaches it under a \
                       name of its own: call it by its address.";
        return refusal(StatusCode::MISDIRECTED_REQUEST, message);
    }
    // No page has business here, not even one of this machine.
    if request.headers().contains_key(header::ORIGIN) || request.headers().contains_key(SEC_FETCH_SITE) {
        return refusal(StatusCode::FORBIDDEN, "The database answers no web page: call it from a program.");
    }
    next.run(request).await
}

fn refusal(status: StatusCode, message: &str) -> Response {
    json(status, DynoxideError::AccessDeniedException(message.to_owned()).to_json())
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

async fn answer(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, answer) = match perform(&api.database, target, &body) {
        Some(Ok(answer)) => (StatusCode::OK, answer),
        Some(Err(error)) => {
            (StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_json())
        }
        None => (StatusCode::BAD_REQUEST, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_owned()),
    };
    let number = api.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = json(status, answer);
    response.headers_mut().insert("x-amzn-requestid", number.into());
    response
}

/// Performs the operation that `target` names (`DynamoDB_20120810.GetItem`) and returns the body of its answer. `None` if there is no
/// such operation here.
fn perform(database: &Database, target: &str, body: &[u8]) -> Option<dynoxide::Result<String>> {
    Some(match target.strip_prefix("DynamoDB_20120810.")? {
        "BatchExecuteStatement" => run(body, |request| database.batch_execute_statement(request)),
        "BatchGetItem" => run(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| database.batch_write_item(request)),
        "CreateTable" => run(body, |request| database.create_table(request)),
        "DeleteItem" => run(body, |request| database.delete_item(request)),
        "DeleteTable" => run(body, |request| database.delete_table(request)),
        "DescribeTable" => run(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => run(body, |request| database.describe_time_to_live(request)),
        "ExecuteStatement" => run(body, |request| database.execute_statement(request)),
        "ExecuteTransaction" => run(body, |request| database.execute_transaction(request)),
        "GetItem" => run(body, |request| database.get_item(request)),
        "ListTables" => run(body, |request| database.list_tables(request)),
        "ListTagsOfResource" => run(body, |request| database.list_tags_of_resource(request)),
        "PutItem" => run(body, |request| database.put_item(request)),
        "Query" => run(body, |request| database.query(request)),
        "Scan" => run(body, |request| database.scan(request)),
        "TagResource" => run(body, |request| database.tag_resource(request)),
        "TransactGetItems" => run(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| database.transact_write_items(request)),
        "UntagResource" => run(body, |request| database.untag_resource(request)),
        "UpdateItem" => run(body, |request| database.update_item(request)),
        "UpdateTable" => run(body, |request| database.update_table(request)),
        "UpdateTimeToLive" => run(body, |request| database.update_time_to_live(request)),
        _ => return None,
    })
}

/// Calls `operation` with the request that `body` is. An SDK writes no other, so that a body that is none needs no finer error.
fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> dynoxide::Result<String> {
    let request = serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(request)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
