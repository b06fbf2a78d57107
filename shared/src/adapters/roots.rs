//! Which certificate authorities outgoing connections trust: compiled in, so that no start parses the system's list.
//!
//! Mozilla's list comes as data that is ready for use (`webpki-roots`). The AWS clients trust only the part of it that Amazon
//! runs, so that a certificate for an AWS endpoint that another authority was tricked into is worth nothing here.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use webpki_roots::TLS_SERVER_ROOTS;

use crate::config::{ConfigError, Vars, settings::EXTRA_CA_FILE};

/// How the subjects of Amazon Trust Services' roots end (<https://www.amazontrust.com/repository/>).
const AMAZON_SUBJECTS: [&str; 5] = [
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
];

/// TLS for AWS endpoints in `region`. Trusts Amazon's own roots; Mozilla's list outside the commercial regions, where Amazon
/// does not promise its own; or else exactly what the file named by `AWS_CA_BUNDLE` holds. Adds what `EXTRA_CA_FILE` holds.
///
/// # Errors
/// When one of the files cannot be read or holds no certificate.
pub fn aws_tls(vars: &Vars, region: &str) -> Result<ClientConfig, ConfigError> {
    let mut roots = match vars.get("AWS_CA_BUNDLE") {
        Some(path) => read_certificates("AWS_CA_BUNDLE", path)?,
        None if is_commercial(region) => RootCertStore { roots: amazon_roots().cloned().collect() },
        None => mozilla_roots(),
    };
    add_extra(vars, &mut roots)?;
    client_config(roots)
}

/// TLS for everybody else's endpoints: SMS providers and the hosts of token keys. Trusts Mozilla's list and what the file
/// named by `EXTRA_CA_FILE` holds.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn public_tls(vars: &Vars) -> Result<ClientConfig, ConfigError> {
    let mut roots = mozilla_roots();
    add_extra(vars, &mut roots)?;
    client_config(roots)
}

/// Whether `region` is one of AWS's commercial regions, such as `us-east-1`: not one of China, of a
/// government, of a sovereign or an isolated cloud.
fn is_commercial(region: &str) -> bool {
    let parts: Vec<&str> = region.split('-').collect();
    matches!(parts.as_slice(), [area, _, _] if area.len() == 2 && *area != "cn")
}

fn amazon_roots() -> impl Iterator<Item = &'static rustls::pki_types::TrustAnchor<'static>> {
    TLS_SERVER_ROOTS.iter().filter(|root| AMAZON_SUBJECTS.iter().any(|name| root.subject.ends_with(name.as_bytes())))
}

fn mozilla_roots() -> RootCertStore {
    RootCertStore { roots: TLS_SERVER_ROOTS.to_vec() }
}

fn add_extra(vars: &Vars, roots: &mut RootCertStore) -> Result<(), ConfigError> {
    if let Some(path) = EXTRA_CA_FILE.get(vars) {
        roots.roots.extend(read_certificates(EXTRA_CA_FILE.name, path)?.roots);
    }
    Ok(())
}

fn read_certificates(variable: &str, path: &str) -> Result<RootCertStore, ConfigError> {
    let unusable = |error: &dyn std::fmt::Display| ConfigError::new(variable, format!("{path}: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"holds no certificate in PEM"));
    }
    Ok(roots)
}

/// The one cryptography library of the process is named here, so that no process-wide default has to be installed.
fn client_config(roots: RootCertStore) -> Result<ClientConfig, ConfigError> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| ConfigError::new("TLS", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_amazons_roots_is_found_exactly_once_and_belongs_to_it() {
        assert_eq!(amazon_roots().count(), AMAZON_SUBJECTS.len());
        for name in AMAZON_SUBJECTS {
            let found: Vec<_> = amazon_roots().filter(|root| root.subject.ends_with(name.as_bytes())).collect();
            let [root] = found.as_slice() else { panic!("{name}: {} roots", found.len()) };
            let subject = String::from_utf8_lossy(&root.subject);
            assert!(subject.contains("\u{6}Amazon") || subject.contains("Starfield Technologies, Inc."), "{subject}");
        }
    }

    #[test]
    fn only_commercial_regions_are_pinned_to_amazons_roots() {
        for region in ["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1", "il-central-1"] {
            assert!(is_commercial(region), "{region}");
        }
        for region in
            ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1", "local", ""]
        {
            assert!(!is_commercial(region), "{region}");
        }
    }

    #[test]
    fn a_certificate_file_that_is_missing_or_empty_stops_the_start_and_names_its_variable() {
        for variable in ["AWS_CA_BUNDLE", "EXTRA_CA_FILE"] {
            for path in ["/nonexistent/ca.pem", "/dev/null"] {
                let vars = Vars::new([(variable.to_owned(), path.to_owned())]);
                let error = aws_tls(&vars, "us-east-1").unwrap_err();
                assert_eq!(error.variable, variable);
                assert!(error.problem.starts_with(path), "{}", error.problem);
            }
        }
    }
}
