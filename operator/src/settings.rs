//! The settings of the service, as the operator's machine has them, and who the operator is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use rand::RngExt as _;
use two_factor::{
    app::AwsCredentials,
    config::{ConfigError, Vars, dotenv::with_dotenv, url::is_loopback},
    domain::UserId,
    ports::{Origin, Random},
    use_cases::Caller,
};

use two_factor_aws::{NoCredentials, PersonalAws, personal};

use crate::output::printable;

/// The longest name of an operator that goes into an audit event.
const MAX_NAME: usize = 64;

/// What a command runs with.
pub(crate) struct Settings {
    /// The service's variables.
    pub(crate) vars: Vars,
    /// The credentials for AWS.
    pub(crate) credentials: AwsCredentials,
    /// Why there are no AWS credentials, if there are none.
    pub(crate) no_credentials: Option<NoCredentials>,
    variables: BTreeMap<String, String>,
    /// The variables that the process was started with.
    in_environment: BTreeSet<String>,
    file: PathBuf,
    /// The variables that come from somewhere else, and from where.
    added: BTreeMap<String, Source>,
    credentials_from: Source,
    operator: String,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The environment of this process.
    Environment,
    /// The file of settings.
    File(PathBuf),
    /// A profile of the AWS configuration.
    Profile(String),
    /// Made up, because a database on this machine takes anything.
    Assumed,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::File(file) => write!(f, "file {}", file.display()),
            Self::Profile(name) => write!(f, "AWS profile {name}"),
            Self::Assumed => f.write_str("assumed, for a database on this machine"),
        }
    }
}

impl Settings {
    /// Settings from these environment variables and, where they say nothing, from a file: the one named, or `.env` if there is
    /// one.
    ///
    /// # Errors
    /// When the file cannot be read, or the one named is not there.
    pub(crate) fn read(environment: BTreeMap<String, String>, file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file.filter(|file| !file.exists()) {
            return Err(ConfigError::new(&file.display().to_string(), "there is no such file"));
        }
        let file = file.unwrap_or(Path::new(".env")).to_owned();
        let in_environment = environment.keys().cloned().collect();
        let variables = with_dotenv(environment, &file)?;
        let vars = Vars::new(variables.clone());
        let operator = ["OPERATOR", "USER", "LOGNAME"].into_iter().find_map(|variable| vars.get(variable)).unwrap_or("unknown");
        let operator = printable(operator).chars().take(MAX_NAME).collect();
        Ok(Self {
            vars,
            credentials: AwsCredentials::Environment,
            no_credentials: None,
            variables,
            in_environment,
            file,
            added: BTreeMap::new(),
            credentials_from: Source::Environment,
            operator,
        })
    }

    /// Finds AWS credentials, region and endpoints, where the variables do not say: those that the local database takes, where that
    /// is the one in use, or else those of the AWS configuration.
    ///
    /// # Errors
    /// When a file of certificates is of no use. That there are no credentials is no error yet.
    pub(crate) async fn find_credentials(&mut self) -> Result<(), ConfigError> {
        let is_set = |vars: &Vars, name| vars.get(name).is_some();
        if !is_set(&self.vars, "AWS_PROFILE") && is_on_this_machine(&self.vars) {
            if !is_set(&self.vars, "AWS_ACCESS_KEY_ID") {
                self.add("AWS_ACCESS_KEY_ID", "local", Source::Assumed);
                self.add("AWS_SECRET_ACCESS_KEY", "local", Source::Assumed);
                self.credentials_from = Source::Assumed;
            }
            if !is_set(&self.vars, "AWS_REGION") && !is_set(&self.vars, "AWS_DEFAULT_REGION") {
                self.add("AWS_REGION", "us-east-1", Source::Assumed);
            }
            self.vars = Vars::new(self.variables.clone());
            return Ok(());
        }
        let (PersonalAws { credentials, variables, profile }, missing) = personal(&self.variables).await?;
        let from = profile.map_or_else(|| self.source("AWS_ACCESS_KEY_ID"), |profile| Some(Source::Profile(profile)));
        self.credentials_from = from.unwrap_or(Source::Environment);
        let profile = self.vars.get("AWS_PROFILE").unwrap_or("default").to_owned();
        for (name, value) in variables {
            self.add(&name, &value, Source::Profile(profile.clone()));
        }
        self.vars = Vars::new(self.variables.clone());
        (self.credentials, self.no_credentials) = (credentials, missing);
        Ok(())
    }

    fn add(&mut self, name: &str, value: &str, source: Source) {
        self.variables.insert(name.to_owned(), value.to_owned());
        self.added.insert(name.to_owned(), source);
    }

    /// Where a variable came from; `None` where it is unset or blank.
    pub(crate) fn source(&self, name: &str) -> Option<Source> {
        self.vars.get(name)?;
        Some(match self.added.get(name) {
            Some(source) => source.clone(),
            None if self.in_environment.contains(name) => Source::Environment,
            None => Source::File(self.file.clone()),
        })
    }

    /// Where the AWS credentials came from.
    pub(crate) const fn credentials_from(&self) -> &Source {
        &self.credentials_from
    }

    /// The operator at work on the account of `user`, for its audit trail.
    pub(crate) fn caller(&self, user: UserId, random: &dyn Random) -> Caller {
        let number: u64 = random.rng().random();
        let origin = Origin {
            request_id: format!("operator-{number:016x}"),
            address: None,
            user_agent: Some(format!("two-factor-doctor/{} (operator {})", env!("CARGO_PKG_VERSION"), self.operator)),
        };
        Caller { user, origin }
    }
}

/// Whether the table is in a database on this machine, which takes any credentials.
fn is_on_this_machine(vars: &Vars) -> bool {
    let endpoint = vars.get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| vars.get("AWS_ENDPOINT_URL"));
    let url = endpoint.and_then(|endpoint| reqwest::Url::parse(endpoint).ok());
    url.is_some_and(|url| is_loopback(&url))
}
