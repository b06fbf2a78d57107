//! Peers that misbehave below HTTP: what a provider's load balancer does on a bad day, byte by byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// One step of what a peer does with a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Reads a request, head and body.
    Read,
    /// Writes these bytes.
    Write(&'static str),
    /// Closes the connection in good order.
    Close,
    /// Resets it: what was on its way is lost.
    Reset,
    /// Says nothing any more, and keeps the connection open.
    Silence,
}

/// A peer on loopback that does the same with every connection. It stops when it is dropped.
pub(crate) struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Does with the nth connection, from 0, what `script` says, and then waits for the other side to close it.
    pub(crate) async fn start(script: impl Fn(usize) -> Vec<Act> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (accepted, read) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let acts = script(accepted.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(play(connection, acts, Arc::clone(&read)));
            }
        });
        Self { address, connections, requests, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests were read whole so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut connection: TcpStream, acts: Vec<Act>, requests: Arc<AtomicUsize>) {
    for act in acts {
        match act {
            Act::Read => {
                if !read_request(&mut connection).await {
                    return;
                }
                requests.fetch_add(1, Ordering::SeqCst);
            }
            Act::Write(bytes) => connection.write_all(bytes.as_bytes()).await.unwrap(),
            Act::Close => return,
            Act::Reset => {
                connection.set_zero_linger().unwrap();
                return;
            }
            Act::Silence => std::future::pending().await,
        }
    }
    // Until the other side closes it.
    drop(connection.read(&mut [0; 1]).await);
}

/// Reads one request; `false` where the connection ends before it.
async fn read_request(connection: &mut TcpStream) -> bool {
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
        let mut part = [0; 8192];
        match connection.read(&mut part).await {
            Ok(length) if length > 0 => received.extend_from_slice(&part[..length]),
            _ => return false,
        }
    }
}

/// An address whose host answers no attempt to connect: its queue of connections is full, and nobody takes one out. With what keeps
/// it so.
pub(crate) async fn full_backlog() -> (Box<dyn Send>, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connection) = tokio::time::timeout(std::time::Duration::from_millis(100), TcpStream::connect(address)).await {
        waiting.push(connection.unwrap());
    }
    (Box::new((listener, waiting)), address)
}
