//! The file `.env`, for the programs of a developer and an operator. The functions never read a file.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::vars::ConfigError;

/// These variables and, where they say nothing, those of the file `.env` at `file`, if there is one. A variable that is set to
/// nothing says so: it hides what the file has.
///
/// # Errors
/// When the file cannot be read. The error names the line and does not repeat it: it may hold a secret.
pub fn with_dotenv(
    environment: impl IntoIterator<Item = (String, String)>,
    file: &Path,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = read(file)?;
    variables.extend(environment);
    Ok(variables)
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let name = file.display().to_string();
    let contents = match fs::read_to_string(file) {
        Ok(contents) => contents,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(ConfigError::new(&name, format_args!("cannot be read: {error}"))),
    };
    dotenvy::from_read_iter(contents.as_bytes()).collect::<Result<_, _>>().map_err(|error| {
        let at = match &error {
            dotenvy::Error::LineParse(bad, _) => contents.lines().position(|line| line.contains(bad.trim())),
            _ => None,
        };
        match at {
            Some(index) => {
                ConfigError::new(&name, format_args!("line {} is not NAME=value; quote a value with spaces", index + 1))
            }
            None => ConfigError::new(&name, "is not a list of NAME=value lines"),
        }
    })
}
