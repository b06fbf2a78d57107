//! Connections: accepts them, limits what a client may hold up, and lets them end in order.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::{Sleep, sleep},
};
use tower::ServiceExt as _;

/// How long a connection may stay without a request. Load balancers keep theirs for the next one, and an answer of theirs is lost where
/// we close first: Google Cloud's keep them for 600 s
/// (<https://cloud.google.com/load-balancing/docs/https/request-distribution>), those of AWS for 60 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(620);

/// How long the head of a request may take from its first byte on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes; and the most headers.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The most connections at a time. Others wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;

/// How long accepting rests after it has failed: mostly the system has no more file descriptors, and gets some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener whose connections are served. It goes on until it is stopped, or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<GracefulShutdown>,
}

impl Server {
    /// Serves the connections of `listener` with `router`, which finds the peer's address as [`ConnectInfo`].
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, router: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { address, stop, task: tokio::spawn(accept(listener, router, stopped)) })
    }

    /// The address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, closes those without a request, and waits for the requests that are under way, so long at most.
    /// Returns whether all of them were answered.
    pub async fn stop(self, within: Duration) -> bool {
        drop(self.stop);
        let all = async {
            if let Ok(connections) = self.task.await {
                connections.shutdown().await;
            }
        };
        tokio::time::timeout(within, all).await.is_ok()
    }
}

async fn accept(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            // It is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            next = next => next,
            _ = &mut stopped => return connections,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = connections.watch(connection(stream, peer, router.clone()));
        tokio::spawn(async move {
            // A client that breaks its connection, or what it says on it, has its reasons.
            drop(connection.await);
            drop(slot);
        });
    }
}

fn connection(stream: TcpStream, peer: SocketAddr, router: Router) -> impl GracefulConnection + Send {
    // An answer leaves as it is written: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let requests = Arc::new(Requests::default());
    let stream = GuardedStream { stream, requests: Arc::clone(&requests), head: None };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let (router, requests) = (router.clone(), Arc::clone(&requests));
        async move {
            let response = router.oneshot(request).await;
            requests.answered.fetch_add(1, Ordering::Relaxed);
            response
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs from one answer to the end of the next head, and so is the time of an idle connection, too.
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}

/// The requests of a connection.
#[derive(Default)]
struct Requests {
    /// Those whose head was whole.
    begun: AtomicU64,
    /// Those that were answered.
    answered: AtomicU64,
}

/// A connection that breaks where a client begins a request and does not finish its head.
struct GuardedStream {
    stream: TcpStream,
    requests: Arc<Requests>,
    head: Option<Head>,
}

/// A head whose first bytes have come.
struct Head {
    /// How many requests had begun before it.
    after: u64,
    /// Ends when it must be whole.
    time: Pin<Box<Sleep>>,
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let begun = self.requests.begun.load(Ordering::Relaxed);
        if self.head.as_ref().is_some_and(|head| head.after != begun) {
            self.head = None;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            let is_answered = self.requests.answered.load(Ordering::Relaxed) == begun;
            // What comes before the answer is the rest of a body.
            if buffer.filled().len() > before && is_answered && self.head.is_none() {
                self.head = Some(Head { after: begun, time: Box::pin(sleep(HEAD_TIMEOUT)) });
            }
            return polled;
        }
        let Some(head) = &mut self.head else { return Poll::Pending };
        ready!(head.time.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }
}
