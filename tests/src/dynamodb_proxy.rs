//! A proxy in front of DynamoDB that writes down every call at the wire and makes those fail that a test wants to fail.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    future, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
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
use tokio::{
    net::TcpListener,
    runtime,
    sync::{Notify, oneshot},
};

/// What happens to a call, which the database does not see, unless it says otherwise.
#[derive(Clone, Debug)]
pub enum Fault {
    /// DynamoDB throttles: `ProvisionedThroughputExceededException`.
    Throttle,
    /// DynamoDB fails: 500, `InternalServerError`.
    Http500,
    /// DynamoDB answers with this status and error code.
    Error(u16, &'static str),
    /// A transaction is canceled with these reasons, the first for its first item; those without one have the reason `None`.
    Cancel(Vec<&'static str>),
    /// A `BatchGetItem` gets none of its keys processed.
    Unprocessed,
    /// An answer without an error, and with this in it.
    Answer(Value),
    /// The connection is cut before a byte of an answer.
    Drop,
    /// The connection is cut in the middle of an answer without an error.
    Cut,
    /// The database sees the call this much later.
    Delay(Duration),
    /// The database sees the call once the test lets it go on.
    Wait(Held),
    /// Nothing happens, ever.
    Hang,
    /// The database does as it is told; then this, in the place of its answer.
    After(Box<Self>),
    /// The database does as it is told; its answer is held, and then lost.
    Hold(Held),
}

impl Fault {
    /// The same fault once the database has done as it was told.
    #[must_use]
    pub fn after_the_fact(self) -> Self {
        Self::After(Box::new(self))
    }
}

/// A call or an answer that is held back while a test does something in between.
#[derive(Clone, Debug, Default)]
pub struct Held {
    done: Arc<Notify>,
    lost: Arc<Notify>,
}

impl Held {
    /// Waits until the database has done what it was told; or, of a call that waits, until it has come.
    pub async fn done(&self) {
        self.done.notified().await;
    }

    /// Cuts the connection.
    pub fn lose(&self) {
        self.lost.notify_one();
    }

    /// Lets a call that waits go on to the database.
    pub fn go_on(&self) {
        self.lost.notify_one();
    }
}

/// A call, as it went over the wire; what the SDK sends again counts again.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Such as `TransactWriteItems`.
    pub operation: String,
    /// What was asked for.
    pub body: Value,
    /// The same, byte for byte.
    pub bytes: Bytes,
    /// The key that it was signed with.
    pub signer: String,
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
    next_of: BTreeMap<String, VecDeque<Option<Fault>>>,
    turns: BTreeMap<String, VecDeque<Option<Fault>>>,
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
        self.decide_next_of(operation, n, Some(fault));
    }

    /// Lets the next `n` calls of `operation` through, before those that fail by what is said later.
    pub fn pass_next_of(&self, operation: &str, n: usize) {
        self.decide_next_of(operation, n, None);
    }

    fn decide_next_of(&self, operation: &str, n: usize, fault: Option<Fault>) {
        lock(&self.state.faults).next_of.entry(operation.to_owned()).or_default().extend(std::iter::repeat_n(fault, n));
    }

    /// Holds the answer to the next call of `operation`.
    pub fn hold_next_of(&self, operation: &str) -> Held {
        let held = Held::default();
        self.fail_next_of(operation, 1, Fault::Hold(held.clone()));
        held
    }

    /// Makes the next call of `operation` wait before the database sees it.
    pub fn stop_next_of(&self, operation: &str) -> Held {
        let held = Held::default();
        self.fail_next_of(operation, 1, Fault::Wait(held.clone()));
        held
    }

    /// Makes calls of `operation` fail, or not, in these turns, over and over.
    pub fn fail_in_turns(&self, operation: &str, turns: impl IntoIterator<Item = Option<Fault>>) {
        lock(&self.state.faults).turns.insert(operation.to_owned(), turns.into_iter().collect());
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
async fn answer(request: Request<Incoming>, client: Client<HttpConnector, Full<Bytes>>, state: Arc<State>) -> io::Result<Answer> {
    let (mut parts, body) = request.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let signature = parts.headers.get("authorization").and_then(|signature| signature.to_str().ok()).unwrap_or_default();
    let signer = signature.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
    lock(&state.calls).push(Call { operation: operation.clone(), body: asked.clone(), bytes: bytes.clone(), signer });

    let fault = lock(&state.faults).take(&operation);
    let fault_after = match fault {
        None => None,
        Some(Fault::Delay(duration)) => {
            tokio::time::sleep(duration).await;
            None
        }
        Some(Fault::Wait(held)) => {
            held.done.notify_one();
            held.lost.notified().await;
            None
        }
        Some(Fault::After(fault)) => Some(*fault),
        Some(fault @ Fault::Hold(_)) => Some(fault),
        Some(fault) => return strike(fault, &asked).await,
    };

    let mut upstream = state.upstream.clone().into_parts();
    upstream.path_and_query = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from_parts(upstream).map_err(io::Error::other)?;
    let response = client.request(Request::from_parts(parts, Full::new(bytes))).await.map_err(io::Error::other)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    match fault_after {
        Some(fault) => strike(fault, &asked).await,
        None => Ok(Response::from_parts(parts, whole(body))),
    }
}

/// What the caller gets to see of a fault.
async fn strike(fault: Fault, asked: &Value) -> io::Result<Answer> {
    match fault {
        Fault::Throttle => refusal(400, "ProvisionedThroughputExceededException", asked, json!({})),
        Fault::Http500 => refusal(500, "InternalServerError", asked, json!({})),
        Fault::Error(status, code) => refusal(status, code, asked, json!({})),
        Fault::Cancel(codes) => {
            let items = asked["TransactItems"].as_array().map_or(0, Vec::len);
            let rest = std::iter::repeat_n("None", if codes.is_empty() { 0 } else { items.saturating_sub(codes.len()) });
            let reasons: Vec<_> = codes.into_iter().chain(rest).map(|code| json!({ "Code": code })).collect();
            refusal(400, "TransactionCanceledException", asked, json!({ "CancellationReasons": reasons }))
        }
        Fault::Unprocessed => reply(200, &json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] })),
        Fault::Answer(body) => reply(200, &body),
        Fault::Drop => Err(cut()),
        Fault::Cut => {
            // The first half leaves before the connection is cut.
            let half = Full::new(Bytes::from_static(b"{\"Responses\": {\"")).map_err(|never: Infallible| match never {});
            let half = half.with_trailers(async {
                tokio::task::yield_now().await;
                Some(Err(cut()))
            });
            respond(200, half.boxed_unsync())
        }
        Fault::Hold(held) => {
            held.done.notify_one();
            held.lost.notified().await;
            Err(cut())
        }
        Fault::Delay(_) | Fault::Wait(_) | Fault::Hang | Fault::After(_) => future::pending().await,
    }
}

impl Faults {
    fn take(&mut self, operation: &str) -> Option<Fault> {
        if let Some(decided) = self.next_of.get_mut(operation).and_then(VecDeque::pop_front) {
            return decided;
        }
        if let Some(fault) = self.next.pop_front() {
            return Some(fault);
        }
        match self.turns.get_mut(operation).filter(|turns| !turns.is_empty()) {
            Some(turns) => {
                turns.rotate_left(1);
                turns.back().cloned().flatten()
            }
            None => self.all.clone(),
        }
    }
}

/// An error in the form of AWS JSON 1.0. Its message repeats what was asked for, as real ones may.
fn refusal(status: u16, code: &str, asked: &Value, mut body: Value) -> io::Result<Answer> {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("__type".to_owned(), json!(format!("com.amazonaws.dynamodb.v20120810#{code}")));
        fields.insert("message".to_owned(), json!(format!("Invalid value: {asked}")));
    }
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> io::Result<Answer> {
    respond(status, whole(Bytes::from(body.to_string())))
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

fn respond(status: u16, body: UnsyncBoxBody<Bytes, io::Error>) -> io::Result<Answer> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(body).map_err(io::Error::other)
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn cut() -> io::Error {
    io::Error::other("cut")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
