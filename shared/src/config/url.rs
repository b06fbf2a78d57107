//! URLs that credentials go to, or keys come from: nobody on the way may read or change what is said there.

use std::net::IpAddr;

use reqwest::Url;

/// A URL with `https`, or with `http` to this machine itself, for tests; without a user name or password in it, which would end up
/// in logs.
///
/// # Errors
/// What is wrong with it, to be read after the name of the setting. The URL is not repeated.
pub fn https_or_loopback(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "must be a URL")?;
    if !url.has_host() {
        return Err("must name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user name or password in it");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("must begin with https:// (or http:// and this machine itself, for tests)"),
    }
}

/// Whether a URL leads to this machine itself.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where an API is: scheme and host, and a path if there is one before the API's own; no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// A URL as [`https_or_loopback`] wants it, without query and fragment.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the name of the setting.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = https_or_loopback(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must end with the path: no ? and no #");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_goes_over_https_or_stays_on_this_machine() {
        for (url, accepted) in [
            ("https://api.dublin.ie1.twilio.com", true),
            ("https://api.example.com/prefix/", true),
            (" https://api.example.com ", true),
            ("http://127.0.0.1:4010", true),
            ("http://127.1.2.3:4010", true),
            ("http://[::1]:4010", true),
            ("http://localhost:4010/", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://127.0.0.1@example.com", false),
            ("http://user@127.0.0.1", false),
            ("https://user:password@example.com", false),
            ("ftp://127.0.0.1", false),
            ("file:///etc/passwd", false),
            ("example.com", false),
            ("", false),
        ] {
            assert_eq!(https_or_loopback(url).is_ok(), accepted, "{url}");
            assert_eq!(BaseUrl::parse(url).is_ok(), accepted, "{url}");
        }
    }

    #[test]
    fn a_base_url_ends_with_its_path() {
        assert_eq!(BaseUrl::parse("http://localhost:1/").unwrap().as_str(), "http://localhost:1");
        assert_eq!(BaseUrl::parse("https://api.example.com/prefix/").unwrap().as_str(), "https://api.example.com/prefix");
        for url in ["https://example.com/?a=b", "https://example.com/#a"] {
            assert!(BaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
