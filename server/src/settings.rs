//! The settings of the server itself; those of the service are read by the service.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tokio::net::TcpListener;
use two_factor::config::{
    ConfigError, ConfigErrors, Vars,
    settings::{ADMIN_PORT, AUTH_MODE, BIND, DRAIN_SECONDS, MAX_REQUESTS_IN_FLIGHT, PORT, TRUSTED_PROXIES},
};

use crate::trusted_proxies::TrustedProxies;

/// Where the server listens, and how much it takes on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `BIND`: the address that it listens on; `None` for all of this machine's.
    pub bind: Option<IpAddr>,
    /// `PORT`: for clients. 0 takes a free one.
    pub port: u16,
    /// `ADMIN_PORT`: for whoever looks after it. 0 takes a free one.
    pub admin_port: u16,
    /// `TRUSTED_PROXIES`
    pub trusted_proxies: TrustedProxies,
    /// `MAX_REQUESTS_IN_FLIGHT`
    pub max_in_flight: usize,
    /// `DRAIN_SECONDS`
    pub drain: Duration,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Every one that is wrong, and an `AUTH_MODE` that only a gateway in front can serve.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let bind = BIND.get(vars).map(|text| text.parse().map_err(|_| BIND.error("must be an IP address of this machine")));
        let bind = errors.keep(bind.transpose());
        let port = errors.keep(PORT.port(vars)).map(|port| port.unwrap_or(8080));
        let admin_port = errors.keep(ADMIN_PORT.port(vars)).map(Option::unwrap_or_default);
        let proxies = TRUSTED_PROXIES.get(vars).map(|list| list.parse().map_err(|problem| TRUSTED_PROXIES.error(problem)));
        let trusted_proxies = errors.keep(proxies.transpose()).map(Option::unwrap_or_default);
        let max_in_flight = errors.keep(MAX_REQUESTS_IN_FLIGHT.number(vars));
        let drain = errors.keep(DRAIN_SECONDS.number(vars));
        errors.keep(refuse_gateway_mode(vars));
        if let (Some(port), Some(admin_port)) = (port, admin_port)
            && port == admin_port
            && port != 0
        {
            errors.keep(Err::<(), _>(ADMIN_PORT.error(format_args!("must be another port than {}", PORT.name))));
        }
        let settings = bind.zip(port).zip(admin_port).zip(trusted_proxies).zip(max_in_flight).zip(drain);
        errors.finish(settings.map(|(((((bind, port), admin_port), trusted_proxies), max_in_flight), drain)| Self {
            bind,
            port,
            admin_port,
            trusted_proxies,
            max_in_flight: usize::try_from(max_in_flight).unwrap_or(usize::MAX),
            drain: Duration::from_secs(drain),
        }))
    }

    /// Listens on `port` where these settings say: on every address of this machine, of IPv6 too where it has any, or on the one of
    /// `BIND`.
    ///
    /// # Errors
    /// When the port is taken or may not be used, or the address is none of this machine.
    pub async fn listen(&self, port: u16) -> io::Result<TcpListener> {
        match self.bind {
            Some(address) => TcpListener::bind((address, port)).await,
            None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
                result => result,
            },
        }
    }
}

/// Where a server is called directly, nobody has verified a token before it.
///
/// # Errors
/// When `AUTH_MODE` leaves that to a gateway.
pub fn refuse_gateway_mode(vars: &Vars) -> Result<(), ConfigError> {
    if AUTH_MODE.get(vars) == Some("gateway") {
        return Err(AUTH_MODE.error("must be hs256 or jwks outside Lambda: no gateway verifies tokens before this server"));
    }
    Ok(())
}
