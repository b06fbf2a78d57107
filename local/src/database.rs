//! The embedded database: DynamoDB's protocol over a file or memory, in this process, spoken to over the network as any other.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    thread::{self, JoinHandle},
};

use aws_types::SdkConfig;
use dynoxide::Database;
use tokio::{runtime, sync::oneshot};
use two_factor::{
    adapters::aws::Aws,
    config::{ConfigError, Vars},
};

use crate::dynamodb_api;

/// The file within the data folder.
const FILE: &str = "dynamodb.sqlite";

/// A running database. It stops when this is dropped.
///
/// It runs on a thread of its own: each request blocks the thread that it runs on, and all of them wait for one lock anyway.
#[derive(Debug)]
pub struct EmbeddedDatabase {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedDatabase {
    /// Opens the database in the folder `data`, which is created if need be, or in memory, and serves it on `port` of the
    /// loopback interface; 0 takes a free one.
    ///
    /// # Errors
    /// When the folder cannot be written, its database cannot be opened, or the port is taken; the message names which.
    pub fn start(data: Option<&Path>, port: u16) -> io::Result<Self> {
        Self::start_at(data, (Ipv4Addr::LOCALHOST, port).into())
    }

    /// The same at another address of this machine: whoever reaches that can read and write everything, but for web pages, since
    /// nobody checks signatures.
    ///
    /// # Errors
    /// As [`EmbeddedDatabase::start`], and when the address is not one of this machine.
    pub fn start_at(data: Option<&Path>, address: SocketAddr) -> io::Result<Self> {
        let database = open(data)?;
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| io::Error::new(error.kind(), format!("{address} cannot be listened on: {error}")))?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    // axum keeps accepting after a failed accept, and so never ends with an error.
                    tokio::select! {
                        _ = axum::serve(listener, dynamodb_api::router(database)) => {}
                        _ = stopped => {}
                    }
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where this machine reaches it: `http://ADDRESS:PORT`, on loopback where it listens on every address.
    pub fn endpoint(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{address}")
    }
}

impl Drop for EmbeddedDatabase {
    /// Returns when the connections are closed and the file is.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to return; that it panicked was printed when it did.
            let _ = thread.join();
        }
    }
}

fn open(data: Option<&Path>) -> io::Result<Database> {
    let Some(folder) = data else {
        return Database::memory().map_err(io::Error::other);
    };
    let file = folder.join(FILE);
    let unusable = |kind, error: &dyn std::fmt::Display| {
        io::Error::new(kind, format!("no database can be kept in {}: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| unusable(error.kind(), &error))?;
    // Opened for writing once before, because the library falls back to reading where it may not write.
    fs::OpenOptions::new().create(true).append(true).open(&file).map_err(|error| unusable(error.kind(), &error))?;
    let path = file.to_str().ok_or_else(|| unusable(io::ErrorKind::InvalidInput, &"the path is not UTF-8"))?;
    Database::new(path).map_err(|error| unusable(io::ErrorKind::Other, &error))
}

/// The settings of an SDK that speaks to local services at `endpoint`, with credentials that nobody checks.
///
/// # Errors
/// None that depends on `endpoint`: the settings are complete.
pub fn sdk_config(endpoint: &str) -> Result<SdkConfig, ConfigError> {
    let vars = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    let vars = Vars::new(vars.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(Aws::from_environment(&vars)?.config().clone())
}
