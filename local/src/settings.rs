//! The settings of the local stack: the environment, and behind it the file `.env`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use two_factor::config::{
    ConfigError, Environment, Vars,
    dotenv::with_dotenv,
    settings::{DATABASE_PORT, PORT},
};

/// Where the local server listens if nobody says where, and nobody else listens there.
pub const USUAL_PORT: u16 = 3000;

/// What the local stack is started with.
#[derive(Clone)]
pub struct Settings {
    /// Every variable, for the service.
    pub variables: BTreeMap<String, String>,
    /// `PORT`: where the local server listens; 0 takes a free one. Where it is unset, [`USUAL_PORT`] or the next free one.
    pub port: Option<u16>,
    /// `DATABASE_PORT`: where the embedded database listens; a free one if unset.
    pub database_port: u16,
    /// `DATABASE_BIND`: the address that the embedded database listens on, such as that of Docker's bridge; loopback if unset.
    pub database_bind: IpAddr,
    /// `DATA_DIR`: the folder that keeps the database; in memory if unset.
    pub data_dir: Option<PathBuf>,
    /// `SMS_INBOX=1`: whether text messages go to an inbox on this machine.
    pub sms_inbox: bool,
}

impl Settings {
    /// Settings from these environment variables and, where they say nothing, from the file `dotenv`, if there is one. `default` is
    /// the environment where neither sets `APP_ENV`.
    ///
    /// # Errors
    /// When the file cannot be read, or a variable of the local stack is wrong.
    pub fn read(
        environment: impl IntoIterator<Item = (String, String)>,
        dotenv: &Path,
        default: Environment,
    ) -> Result<Self, ConfigError> {
        let mut variables = with_dotenv(environment, dotenv)?;
        // The service's default, said aloud so that the database and whatever program is started beside it agree.
        set_default(&mut variables, "TABLE_NAME", "sms-2fa");
        if default == Environment::Development {
            set_default(&mut variables, "APP_ENV", "development");
        }
        let vars = Vars::new(variables.clone());
        let sms_inbox = match vars.get("SMS_INBOX") {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(ConfigError::new("SMS_INBOX", "must be 1 or 0")),
        };
        Ok(Self {
            port: PORT.port(&vars)?,
            database_port: DATABASE_PORT.port(&vars)?.unwrap_or(0),
            database_bind: address(&vars, "DATABASE_BIND")?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            data_dir: vars.get("DATA_DIR").map(PathBuf::from),
            sms_inbox,
            variables,
        })
    }

    /// The variables as the service reads them.
    pub fn vars(&self) -> Vars {
        Vars::new(self.variables.clone())
    }

    /// Sets a variable that has no value yet.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        set_default(&mut self.variables, name, value);
    }
}

fn set_default(variables: &mut BTreeMap<String, String>, name: &str, value: &str) {
    let current = variables.entry(name.to_owned()).or_default();
    if current.is_empty() {
        value.clone_into(current);
    }
}

fn address(vars: &Vars, name: &str) -> Result<Option<IpAddr>, ConfigError> {
    vars.parse(name).map_err(|_| ConfigError::new(name, "must be an IP address of this machine"))
}
