//! Which address a request counts for (S13): the peer's, or what trusted proxies say of whom they got it from.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The proxies whose word is taken: addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Addresses and networks in CIDR notation, with commas between. A network of all addresses would let everybody name their own.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let parse = |text: &str| {
            let text = text.trim();
            let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            match net {
                None => {
                    Err(format!("has {text:?} in it; it must be addresses and networks with commas between, such as 10.0.0.0/8"))
                }
                Some(net) if net.prefix_len() == 0 => {
                    Err(format!("has {text:?} in it, which is everybody: each client could name its own source address"))
                }
                Some(net) => Ok(net.trunc()),
            }
        };
        list.split(',').map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The address that a request of `peer` counts for: the peer's own, unless it is one of these. Then it is the last entry of
    /// `X-Forwarded-For` that is none of them, since each of them has added whom it got the request from and everything before that is
    /// the client's invention. Where all entries are of them, it is the first. An entry that is no address ends the search: the request
    /// counts for the proxy that wrote it, together with all others of that kind.
    pub fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut source = peer.to_canonical();
        let values: Vec<_> = headers.get_all("x-forwarded-for").into_iter().map(|value| value.to_str().unwrap_or("?")).collect();
        let mut entries = values.iter().flat_map(|value| value.split(',')).rev();
        while self.contains(source) {
            let Some(next) = entries.next().and_then(address) else { break };
            source = next;
        }
        source
    }
}

/// The address of an entry: proxies write it alone, in brackets, or with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXIES: &str = "10.0.0.0/8, 2001:db8:ffff::/48,192.0.2.7";

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        PROXIES.parse::<TrustedProxies>().unwrap().source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_as_far_as_trusted_proxies_vouch_for_it_s13() {
        for (peer, forwarded, expected, why) in [
            ("203.0.113.9", &[][..], "203.0.113.9", "no proxy in between"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9", "a stranger's header"),
            ("10.1.2.3", &[], "10.1.2.3", "a trusted proxy that says nothing, or a pod of the cluster that calls itself"),
            ("10.1.2.3", &["198.51.100.1"], "198.51.100.1", "one proxy"),
            ("10.1.2.3", &["1.1.1.1, 198.51.100.1"], "198.51.100.1", "what the client wrote is before it"),
            ("10.1.2.3", &["1.1.1.1,198.51.100.1, 10.9.9.9"], "198.51.100.1", "two proxies"),
            ("10.1.2.3", &["198.51.100.1, 203.0.113.5, 10.9.9.9"], "203.0.113.5", "a proxy that is not ours"),
            ("10.1.2.3", &["1.1.1.1", "198.51.100.1"], "198.51.100.1", "two headers are one list"),
            ("10.1.2.3", &["198.51.100.1", "10.9.9.9"], "198.51.100.1", "two headers, the second of ours"),
            ("10.1.2.3", &["10.4.4.4, 10.9.9.9"], "10.4.4.4", "all of them are ours: the first one began"),
            ("192.0.2.7", &["198.51.100.1"], "198.51.100.1", "a single address"),
            ("192.0.2.8", &["198.51.100.1"], "192.0.2.8", "the address beside it"),
            ("::ffff:10.1.2.3", &["198.51.100.1"], "198.51.100.1", "IPv4 as an IPv6 socket shows it"),
            ("10.1.2.3", &["::ffff:198.51.100.1"], "198.51.100.1", "and as an entry"),
            ("2001:db8:ffff::1", &["2001:db8:1::5"], "2001:db8:1::5", "IPv6"),
            ("10.1.2.3", &["198.51.100.1:4711"], "198.51.100.1", "with a port"),
            ("10.1.2.3", &["[2001:db8:1::5]:4711"], "2001:db8:1::5", "IPv6 with a port"),
            ("10.1.2.3", &["[2001:db8:1::5]"], "2001:db8:1::5", "IPv6 in brackets"),
            ("10.1.2.3", &["unknown"], "10.1.2.3", "no address"),
            ("10.1.2.3", &["198.51.100.1, "], "10.1.2.3", "nothing after the comma"),
            ("10.1.2.3", &["198.51.100.1, unknown, 10.9.9.9"], "10.9.9.9", "nothing before what is no address is believed"),
            ("10.1.2.3", &["198.51.100.1;secret=x"], "10.1.2.3", "another header's syntax"),
            ("10.1.2.3", &["198.51.100.1", "\u{e4}"], "10.1.2.3", "not even ASCII"),
            ("10.1.2.3", &["  198.51.100.1\t"], "198.51.100.1", "white space around it"),
        ] {
            assert_eq!(source(peer, forwarded), expected, "{why}: {peer} {forwarded:?}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks_and_never_everybody() {
        for (list, accepted) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3", true),
            (" 10.0.0.0/8 , 2001:db8::/32 ", true),
            ("10.1.2.3/8", true),
            ("0.0.0.0/0", false),
            ("::/0", false),
            ("10.0.0.0/8,", false),
            ("10.0.0.0/33", false),
            ("10.0.0", false),
            ("proxy.example.com", false),
            ("*", false),
        ] {
            assert_eq!(list.parse::<TrustedProxies>().is_ok(), accepted, "{list}");
        }
        assert!("10.1.2.3/8".parse::<TrustedProxies>().unwrap().contains([10, 200, 0, 1].into()), "the host's bits do not count");
    }
}
