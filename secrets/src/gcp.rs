//! Secrets in Google Secret Manager: one that is a JSON object, or each setting in a secret of its own.
//!
//! Who asks is found as every Google client finds it: workload identity and attached service accounts at the metadata server,
//! `GOOGLE_APPLICATION_CREDENTIALS`, or what `gcloud auth application-default login` left.

use std::{collections::BTreeMap, error::Error, fmt, iter::successors, time::Duration};

use google_cloud_auth::credentials::mds;
use google_cloud_gax::{
    error::rpc::Code,
    retry_policy::{Aip194Strict, RetryPolicyExt as _},
};
use google_cloud_secretmanager_v1::{Error as GoogleError, client::SecretManagerService};
use secrecy::SecretString;
use tokio::{
    sync::OnceCell,
    task::JoinSet,
    time::{error::Elapsed, timeout},
};
use two_factor::{
    config::{
        ConfigError, Vars,
        settings::{ALL, CODE_PEPPER},
        url::BaseUrl,
    },
    ports::{BoxFuture, SecretError, SecretErrorKind, SecretSource},
};

use crate::keys::{json, kebab_case, without_newline};

/// How long reading may take, tries that fail included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Another address of Secret Manager's API, as `gcloud` is told it: a private endpoint, or an emulator.
const ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER";

/// Another address of the metadata server, as every Google client is told it: a host, and a port if it is not 80.
const METADATA_HOST: &str = "GCE_METADATA_HOST";

/// What a principal needs to read a secret.
const ROLE: &str = "roles/secretmanager.secretAccessor";

/// The most secrets that are asked for at a time.
const AT_A_TIME: usize = 8;

/// One secret, or all secrets of a project that are named after settings.
pub(crate) struct GcpSource {
    name: String,
    place: GcpPlace,
    endpoint: Option<String>,
    metadata_host: Option<String>,
    /// Made when it is first needed: it starts to look for credentials.
    client: OnceCell<SecretManagerService>,
}

/// Where in Secret Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
enum GcpPlace {
    /// This version of a secret: `projects/P/secrets/S/versions/V`.
    Version(String),
    /// The secrets of this project: `projects/P`.
    Project {
        project: String,
        /// The settings that are read: those that the environment leaves open.
        settings: Vec<&'static str>,
    },
}

impl GcpSource {
    /// What `rest`, the part of `SECRET_ID` behind `gcp:`, names; `None` where it has none of the forms.
    ///
    /// # Errors
    /// When the address of the API that the environment names is none.
    pub(crate) fn of(rest: &str, vars: &Vars) -> Result<Option<Self>, ConfigError> {
        let Some(place) = GcpPlace::of(rest, vars) else { return Ok(None) };
        let endpoint = vars.get(ENDPOINT).map(BaseUrl::parse).transpose();
        let endpoint = endpoint.map_err(|problem| ConfigError::new(ENDPOINT, problem))?;
        Ok(Some(Self {
            name: format!("gcp:{rest}"),
            place,
            endpoint: endpoint.map(|url| url.as_str().to_owned()),
            metadata_host: vars.get(METADATA_HOST).map(str::to_owned),
            client: OnceCell::new(),
        }))
    }

    async fn get(&self) -> Result<SecretString, SecretError> {
        timeout(TIMEOUT, self.read_all()).await.unwrap_or_else(|Elapsed { .. }| {
            let trouble = Trouble {
                kind: SecretErrorKind::Unavailable,
                problem: "cannot be read in time".to_owned(),
                remedy: "look at the way to secretmanager.googleapis.com, and to the metadata server".to_owned(),
            };
            Err(trouble.with(&self.name))
        })
    }

    async fn read_all(&self) -> Result<SecretString, SecretError> {
        let client = self.client.get_or_try_init(|| self.connect()).await.map_err(|trouble| trouble.with(&self.name))?;
        match &self.place {
            GcpPlace::Version(version) => {
                let read = access(client, version).await;
                read.map(SecretString::from).map_err(|trouble| trouble.with(&self.name))
            }
            GcpPlace::Project { project, settings } => self.read_settings(client, project, settings).await,
        }
    }

    /// Reads each setting from the secret of its own name. A secret that is not there leaves its setting unset. So does one that is
    /// refused, since Google says the same of one that is not there to whoever may not see the project; the log names those.
    async fn read_settings(
        &self,
        client: &SecretManagerService,
        project: &str,
        settings: &[&'static str],
    ) -> Result<SecretString, SecretError> {
        let (mut values, mut refused) = (BTreeMap::new(), Vec::new());
        let mut open = settings.iter().copied();
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_A_TIME
                && let Some(setting) = open.next()
            {
                let (client, secret) = (client.clone(), secret_of(project, setting));
                asked.spawn(async move { (setting, access(&client, &format!("{secret}/versions/latest")).await) });
            }
            let Some(answered) = asked.join_next().await else { break };
            let Ok((setting, answer)) = answered else { continue };
            match answer {
                Ok(value) => {
                    values.insert(setting.to_owned(), without_newline(&value).to_owned());
                }
                Err(Trouble { kind: SecretErrorKind::NotFound, .. }) => {}
                Err(Trouble { kind: SecretErrorKind::NotPermitted, problem, remedy }) => refused.push((setting, problem, remedy)),
                Err(trouble) => return Err(trouble.with(&secret_of(project, setting))),
            }
        }
        let is_needed = |setting: &str| setting == CODE_PEPPER.name || values.is_empty();
        if let Some(found) = refused.iter().position(|(setting, ..)| is_needed(setting)) {
            let (setting, problem, remedy) = refused.swap_remove(found);
            let trouble = Trouble { kind: SecretErrorKind::NotPermitted, problem, remedy };
            return Err(trouble.with(&secret_of(project, setting)));
        }
        if values.is_empty() {
            let problem = "holds no secret that is named after a setting".to_owned();
            let remedy = format!("gcloud secrets create {} --data-file=- --project {project}", kebab_case(CODE_PEPPER.name));
            return Err(Trouble { kind: SecretErrorKind::NotFound, problem, remedy }.with(&self.name));
        }
        if !refused.is_empty() {
            refused.sort();
            let names: Vec<_> = refused.iter().map(|(setting, ..)| kebab_case(setting)).collect();
            tracing::warn!(
                project,
                secrets = names.join(", "),
                "these secrets are not there, or may not be read: where one is meant, grant {ROLE} on it"
            );
        }
        Ok(json(values))
    }

    async fn connect(&self) -> Result<SecretManagerService, Trouble> {
        let mut builder = SecretManagerService::builder().with_retry_policy(Aip194Strict.with_time_limit(TIMEOUT));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(host) = &self.metadata_host {
            let credentials = mds::Builder::default().with_endpoint(format!("http://{host}")).build();
            builder = builder.with_credentials(credentials.map_err(|error| no_credentials(&error))?);
        }
        builder.build().await.map_err(|error| no_credentials(&error))
    }
}

impl fmt::Debug for GcpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SecretSource for GcpSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        Box::pin(self.get())
    }
}

impl GcpPlace {
    /// `projects/P`, `projects/P/secrets/S` or `projects/P/secrets/S/versions/V`.
    fn of(rest: &str, vars: &Vars) -> Option<Self> {
        let is_name = |part: &str| {
            !part.is_empty()
                && part.len() <= 255
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        };
        let parts: Vec<_> = rest.split('/').collect();
        if !parts.iter().all(|part| is_name(part)) {
            return None;
        }
        match parts[..] {
            ["projects", project] => {
                let may_be_secret = ALL.iter().filter(|setting| setting.may_be_in_secret());
                // A variable wins over the secret: what is set there need not be read.
                let open = may_be_secret.map(|setting| setting.name).filter(|name| vars.get(name).is_none());
                Some(Self::Project { project: project.to_owned(), settings: open.collect() })
            }
            ["projects", _, "secrets", _] => Some(Self::Version(format!("{rest}/versions/latest"))),
            ["projects", _, "secrets", _, "versions", _] => Some(Self::Version(rest.to_owned())),
            _ => None,
        }
    }
}

/// The secret that holds this setting.
fn secret_of(project: &str, setting: &str) -> String {
    format!("projects/{project}/secrets/{}", kebab_case(setting))
}

/// What is wrong, to be read after the secret's name.
struct Trouble {
    kind: SecretErrorKind,
    problem: String,
    remedy: String,
}

impl Trouble {
    fn with(self, secret: &str) -> SecretError {
        let Self { kind, problem, remedy } = self;
        SecretError { secret: secret.to_owned(), kind, problem: problem.into(), remedy: remedy.into() }
    }
}

/// The text of this version of a secret.
async fn access(client: &SecretManagerService, version: &str) -> Result<String, Trouble> {
    let answer = client.access_secret_version().set_name(version).send().await.map_err(|error| trouble_of(version, &error))?;
    let data = answer.payload.map(|payload| payload.data).unwrap_or_default();
    String::from_utf8(data.into()).map_err(|_| Trouble {
        kind: SecretErrorKind::Malformed,
        problem: "is binary".to_owned(),
        remedy: "store it as text".to_owned(),
    })
}

/// What Google's answer means. Its own words go to the log: they name the principal, which an operator wants to know.
fn trouble_of(version: &str, error: &GoogleError) -> Trouble {
    if error.is_authentication() {
        return no_credentials(error);
    }
    let status = error.status();
    let answer = status.map_or_else(|| causes(error), |status| status.message.clone());
    let secret = version.split("/versions/").next().unwrap_or(version);
    let trouble = |kind, problem: &str, remedy: String| Trouble { kind, problem: problem.to_owned(), remedy };
    match status.map(|status| status.code) {
        Some(Code::NotFound) => {
            let remedy =
                format!("compare the name with `gcloud secrets list`, or give it a value: gcloud secrets versions add {secret}");
            trouble(SecretErrorKind::NotFound, "is not in Google Secret Manager, or has no value", remedy)
        }
        Some(Code::FailedPrecondition) => {
            let remedy = format!("enable it, or give the secret a new one: gcloud secrets versions add {secret}");
            trouble(SecretErrorKind::NotFound, "has a version that is disabled or destroyed", remedy)
        }
        Some(Code::PermissionDenied) if answer.contains("has not been used") => {
            let remedy = "gcloud services enable secretmanager.googleapis.com, in this project".to_owned();
            trouble(SecretErrorKind::NotPermitted, "cannot be read: the API is not enabled", remedy)
        }
        Some(Code::PermissionDenied | Code::Unauthenticated) => {
            let remedy = format!("grant {ROLE} on it to the service account of this server");
            trouble(SecretErrorKind::NotPermitted, "may not be read, or is not there", remedy)
        }
        Some(Code::InvalidArgument) => {
            trouble(SecretErrorKind::NotFound, "has no name that Google Secret Manager knows", "correct SECRET_ID".to_owned())
        }
        _ => {
            tracing::error!(secret, error = answer, "the secret cannot be read");
            let remedy = "look at the way to secretmanager.googleapis.com, and at Google's status".to_owned();
            trouble(SecretErrorKind::Unavailable, "cannot be read", remedy)
        }
    }
}

fn no_credentials(error: &dyn Error) -> Trouble {
    tracing::error!(error = causes(error), "no credentials of Google");
    Trouble {
        kind: SecretErrorKind::Unavailable,
        problem: "cannot be asked for: there are no credentials of Google".to_owned(),
        remedy: "run with workload identity or a service account; on your own machine, gcloud auth application-default login"
            .to_owned(),
    }
}

/// The error, and what it comes from.
fn causes(error: &dyn Error) -> String {
    successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
