//! TLS in front of a plain server on loopback, with a certificate made for the occasion: what the service meets in the cloud.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};

/// A certificate authority that nobody knows but who is told, and a server certificate of it: RSA with an intermediate, which is
/// what AWS endpoints show.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, with a server named `localhost`.
    pub fn new() -> Self {
        let new_key = || KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key can be made");
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let (root_key, root) = (new_key(), authority("Root"));
        let pem = root.self_signed(&root_key).expect("a certificate can be signed").pem();
        let (intermediate_key, intermediate) = (new_key(), authority("Intermediate"));
        let root = Issuer::new(root, root_key);
        let intermediate_certificate = intermediate.signed_by(&intermediate_key, &root).expect("a certificate can be signed");
        let key = new_key();
        let server = CertificateParams::new(["localhost".to_owned()]).expect("the name is a name");
        let intermediate = Issuer::new(intermediate, intermediate_key);
        let certificate = server.signed_by(&key, &intermediate).expect("a certificate can be signed");
        Self { pem, chain: vec![certificate.into(), intermediate_certificate.into()], key }
    }

    /// Its certificate in PEM: what `EXTRA_CA_FILE` wants.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn server_config(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), PrivatePkcs8KeyDer::from(self.key.serialize_der()).into())
            .expect("key and certificate belong together")
    }
}

/// The front. It stops when it is dropped, and cuts its connections.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    meter: Arc<Meter>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What went through.
#[derive(Debug, Default)]
struct Meter {
    handshakes: AtomicUsize,
    waited_nanos: AtomicU64,
}

impl TlsFront {
    /// Speaks TLS for the server at `upstream`, such as `http://127.0.0.1:8000`, on a thread of its own.
    pub fn start(authority: &Authority, upstream: &str) -> Self {
        let upstream: SocketAddr = upstream.trim_start_matches("http://").parse().expect("an address on loopback");
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let meter = Arc::new(Meter::default());
        let serving = Arc::clone(&meter);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener can be used");
                tokio::select! {
                    () = serve(listener, acceptor, upstream, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, meter, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is: `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// How many connections were opened, TLS included.
    pub fn handshakes(&self) -> usize {
        self.meter.handshakes.load(Ordering::Relaxed)
    }

    /// How long its clients have waited so far for the server behind it.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.meter.waited_nanos.load(Ordering::Relaxed))
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr, meter: Arc<Meter>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, meter) = (acceptor.clone(), Arc::clone(&meter));
        tokio::spawn(async move {
            // A client that does not trust us, or goes away, is its own business.
            let _ = connection(stream, acceptor, upstream, &meter).await;
        });
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, upstream: SocketAddr, meter: &Meter) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = tokio::io::split(acceptor.accept(stream).await?);
    meter.handshakes.fetch_add(1, Ordering::Relaxed);
    let (from_server, to_server) = server.into_split();
    let asked = Mutex::new(None);
    let ask = |_: &Meter| *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    let answer = |meter: &Meter| {
        if let Some(since) = asked.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            meter.waited_nanos.fetch_add(waited, Ordering::Relaxed);
        }
    };
    tokio::select! {
        result = copy(from_client, to_server, meter, ask) => result,
        result = copy(from_server, to_client, meter, answer) => result,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    meter: &Meter,
    seen: impl Fn(&Meter),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        seen(meter);
        to.write_all(bytes).await?;
        to.flush().await?;
    }
}
