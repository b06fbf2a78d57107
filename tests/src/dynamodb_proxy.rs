//! A proxy in front of DynamoDB that writes down every call at the wire and makes those fail that a test wants to fail.

use std::{
    collections::{BTreeMap, VecDeque},
    future, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime, sync::oneshot};

/// What happens to a call instead of, or before, an answer of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// DynamoDB throttles: `ProvisionedThroughputExceededException`.
    Throttle,
    /// DynamoDB fails: 500, `InternalServerError`.
    Http500,
    /// DynamoDB answers with this status and error code.
    Error(u16, &'static str),
    /// A transaction is canceled, with these reasons: one for each item of the transaction, `None` for those without one.
    Cancel(Vec<&'static str>),
    /// A `BatchGetItem` gets none of its keys processed.
    Unprocessed,
    /// The connection is cut before the database sees the call.
    Drop,
    /// The database does as it is told, and then the connection is cut.
    DropResponse,
    /// The database sees the call this much later.
    Delay(Duration),
    /// The database does as it is told, and the answer never comes.
    HangResponse,
    /// Nothing happens, ever.
    Hang,
}

/// A call, as it went over the wire; what the SDK sends again counts again.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Such as `TransactWriteItems`.
    pub operation: String,
    /// What was asked for.
    pub body: Value,
}

/// The proxy. It stops when this is dropped, and cuts its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    upstream: Uri,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    next: VecDeque<Fault>,
    next_of: BTreeMap<String, VecDeque<Fault>>,
    all: Option<Fault>,
}

impl Proxy {
    /// A proxy in front of the database at `upstream`, such as `http://127.0.0.1:8000`, on a thread of its own.
    pub fn start(upstream: &str) -> Self {
        let upstream = upstream.parse().expect("an endpoint is a URI");
        let state = Arc::new(State { upstream, calls: Mutex::default(), faults: Mutex::default() });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener can be used");
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Where to send calls.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The operations that were called so far, in order.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.state.calls).iter().map(|call| call.operation.clone()).collect()
    }

    /// Hands out all calls so far, and forgets them.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.state.calls))
    }

    /// Makes the next `n` calls fail.
    pub fn fail_next(&self, n: usize, fault: Fault) {
        lock(&self.state.faults).next.extend(std::iter::repeat_n(fault, n));
    }

    /// Makes the next `n` calls of `operation` fail.
    pub fn fail_next_of(&self, operation: &str, n: usize, fault: Fault) {
        lock(&self.state.faults).next_of.entry(operation.to_owned()).or_default().extend(std::iter::repeat_n(fault, n));
    }

    /// Makes all calls fail from now on.
    pub fn fail_all(&self, fault: Fault) {
        lock(&self.state.faults).all = Some(fault);
    }

    /// Makes no call fail any more.
    pub fn recover(&self) {
        *lock(&self.state.faults) = Faults::default();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    while let Ok((stream, _)) = listener.accept().await {
        let (client, state) = (client.clone(), Arc::clone(&state));
        let service = service_fn(move |request| answer(request, client.clone(), Arc::clone(&state)));
        tokio::spawn(async move {
            // A connection that a fault cut ends here, as does one that the client closed.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error cuts the connection before a byte of an answer was sent.
async fn answer(
    request: Request<Incoming>,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Arc<State>,
) -> io::Result<Response<Full<Bytes>>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    lock(&state.calls).push(Call { operation: operation.clone(), body: asked.clone() });

    let cut = || io::Error::other("cut");
    let fault = lock(&state.faults).take(&operation);
    match &fault {
        None | Some(Fault::DropResponse | Fault::HangResponse) => {}
        Some(Fault::Delay(duration)) => tokio::time::sleep(*duration).await,
        Some(Fault::Throttle) => return refusal(400, "ProvisionedThroughputExceededException", &asked, json!({})),
        Some(Fault::Http500) => return refusal(500, "InternalServerError", &asked, json!({})),
        Some(Fault::Error(status, code)) => return refusal(*status, code, &asked, json!({})),
        Some(Fault::Cancel(codes)) => {
            let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
            return refusal(400, "TransactionCanceledException", &asked, json!({ "CancellationReasons": reasons }));
        }
        Some(Fault::Unprocessed) => {
            let keys = asked.get("RequestItems").cloned().unwrap_or_default();
            return reply(200, &json!({ "Responses": {}, "UnprocessedKeys": keys }));
        }
        Some(Fault::Drop) => return Err(cut()),
        Some(Fault::Hang) => future::pending().await,
    }

    let mut upstream = state.upstream.clone().into_parts();
    upstream.path_and_query = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from_parts(upstream).map_err(io::Error::other)?;
    let response = client.request(Request::from_parts(parts, Full::new(body))).await.map_err(io::Error::other)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    match fault {
        Some(Fault::DropResponse) => Err(cut()),
        Some(Fault::HangResponse) => future::pending().await,
        _ => Ok(Response::from_parts(parts, Full::new(body))),
    }
}

impl Faults {
    fn take(&mut self, operation: &str) -> Option<Fault> {
        let of_operation = self.next_of.get_mut(operation).and_then(VecDeque::pop_front);
        of_operation.or_else(|| self.next.pop_front()).or_else(|| self.all.clone())
    }
}

/// An error in the form of AWS JSON 1.0. Its message repeats what was asked for, as real ones may.
fn refusal(status: u16, code: &str, asked: &Value, mut body: Value) -> io::Result<Response<Full<Bytes>>> {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("__type".to_owned(), json!(format!("com.amazonaws.dynamodb.v20120810#{code}")));
        fields.insert("message".to_owned(), json!(format!("Invalid value: {asked}")));
    }
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> io::Result<Response<Full<Bytes>>> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Full::new(Bytes::from(body.to_string()))).map_err(io::Error::other)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
