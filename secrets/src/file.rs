//! A secret that is mounted: a JSON file, or a folder with a file for each setting, as Kubernetes, the Secrets Store CSI driver,
//! External Secrets, Docker and Cloud Run put it there.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use two_factor::ports::{BoxFuture, SecretError, SecretErrorKind, SecretSource};

use crate::keys::{Named, json, without_newline};

/// The largest file, in bytes: as large as a secret in AWS Secrets Manager or Google Secret Manager may be.
const MAX_BYTES: u64 = 64 * 1024;

/// How long reading may take. A file system may be a program, or a network.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often reading begins anew where a file goes away meanwhile.
const MAX_TRIES: u32 = 5;

/// The link that kubelet renames to change all files of a mounted folder at once
/// (<https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter>). It leads to a folder that is never changed, and removed some
/// time after the link leads to the next one.
const DATA: &str = "..data";

/// The file or folder at one path.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    path: PathBuf,
}

impl FileSource {
    /// The file or folder at this path.
    pub fn new(path: &str) -> Self {
        Self { name: format!("file:{path}"), path: path.into() }
    }

    async fn get(&self) -> Result<SecretString, SecretError> {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || read(&path));
        let read = match tokio::time::timeout(TIMEOUT, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => Err(Trouble {
                kind: SecretErrorKind::Unavailable,
                problem: "cannot be read in time".into(),
                remedy: "look at what is mounted there: a network, or the pod's CSI driver",
            }),
        };
        read.map_err(|Trouble { kind, problem, remedy }| SecretError {
            secret: self.name.clone(),
            kind,
            problem: problem.into(),
            remedy: remedy.into(),
        })
    }
}

impl SecretSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> BoxFuture<'_, Result<SecretString, SecretError>> {
        Box::pin(self.get())
    }
}

/// What is wrong, to be read after the secret's name.
struct Trouble {
    kind: SecretErrorKind,
    problem: String,
    remedy: &'static str,
}

impl Trouble {
    fn malformed(problem: String, remedy: &'static str) -> Self {
        Self { kind: SecretErrorKind::Malformed, problem, remedy }
    }

    /// What the system's answer about `what` means.
    fn of(what: &str, error: &io::Error) -> Self {
        let (kind, problem, remedy) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
                SecretErrorKind::NotFound,
                format!("is not there: {what} does not exist"),
                "mount the secret at this path, or correct the path in SECRET_ID",
            ),
            io::ErrorKind::PermissionDenied => (
                SecretErrorKind::NotPermitted,
                format!("may not be read: {what} is not for this program's user"),
                "let that user read it: fsGroup or defaultMode of the pod's volume, or chown and chmod",
            ),
            _ => (SecretErrorKind::Unavailable, format!("cannot be read: {what}: {error}"), "look at what is mounted there"),
        };
        Self { kind, problem, remedy }
    }
}

/// The text of the file at `path`, or that of all files of the folder there. Begins anew where the folder turns to another version
/// meanwhile: two versions are never mixed.
fn read(path: &Path) -> Result<SecretString, Trouble> {
    for _ in 1..MAX_TRIES {
        match read_once(path) {
            Ok(Some(text)) => return Ok(text),
            // What was looked up a moment ago is gone: it may be of the version before.
            Ok(None) | Err(Trouble { kind: SecretErrorKind::NotFound, .. }) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    read_once(path)?.ok_or_else(|| Trouble {
        kind: SecretErrorKind::Unavailable,
        problem: "changes again and again while it is read".into(),
        remedy: "look at what writes to it",
    })
}

/// `None` where another version came meanwhile.
fn read_once(path: &Path) -> Result<Option<SecretString>, Trouble> {
    let trouble = |error: io::Error| Trouble::of(&path.display().to_string(), &error);
    let path = fs::canonicalize(path).map_err(trouble)?;
    if !fs::metadata(&path).map_err(trouble)?.is_dir() {
        return read_file(&path, "the file").map(|text| Some(text.into()));
    }
    let link = path.join(DATA);
    if link.symlink_metadata().is_err() {
        return read_folder(&path).map(Some);
    }
    // The link is followed once, and everything is read below where it led. The files there are removed, one by one, only when the
    // link leads elsewhere: as long as it does not, none was missing.
    let version = fs::canonicalize(&link).map_err(trouble)?;
    let read = read_folder(&version);
    if fs::canonicalize(&link).is_ok_and(|now| now == version) { read.map(Some) } else { Ok(None) }
}

fn read_folder(folder: &Path) -> Result<SecretString, Trouble> {
    let trouble = |error: io::Error| Trouble::of("the folder", &error);
    // The value of each key, and the file that it is in.
    let mut values = BTreeMap::<String, (String, String)>::new();
    for entry in fs::read_dir(folder).map_err(trouble)? {
        let file = entry.map_err(trouble)?.file_name();
        // No setting has a name that is not text.
        let Some(file) = file.to_str().filter(|file| !file.starts_with('.')) else { continue };
        let key = match Named::by(file) {
            // That nothing reads a misspelled key is told where the settings are read.
            Named::Setting(name) | Named::Misspelled(name) => name,
            Named::Foreign => continue,
        };
        let text = read_file(&folder.join(file), &format!("its file {file:?}"))?;
        let value = without_newline(&text).to_owned();
        match values.entry(key.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert((value, file.to_owned()));
            }
            Entry::Occupied(entry) if entry.get().0 == value => {}
            Entry::Occupied(entry) => {
                return Err(Trouble::malformed(
                    format!("has two values for {key}, in the files {:?} and {file:?}", entry.get().1),
                    "remove the one that is not meant",
                ));
            }
        }
    }
    if !values.keys().any(|key| matches!(Named::by(key), Named::Setting(_))) {
        return Err(Trouble::malformed(
            "has no file that is named after a setting".into(),
            "name each file after its setting, as TWILIO_AUTH_TOKEN or twilio-auth-token",
        ));
    }
    Ok(json(values.into_iter().map(|(key, (value, _))| (key, value)).collect()))
}

/// The text of a file, which messages call `what`.
fn read_file(path: &Path, what: &str) -> Result<String, Trouble> {
    let trouble = |error: io::Error| Trouble::of(what, &error);
    // A named pipe would be waited for until somebody writes to it.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(trouble)?;
    let metadata = file.metadata().map_err(trouble)?;
    if metadata.is_dir() {
        return Err(Trouble::malformed(
            format!("has a folder in the place of a file: {what}"),
            "put the file itself there, not into a folder below",
        ));
    }
    if !metadata.is_file() {
        return Err(Trouble::malformed(
            format!("is of no use: {what} is a pipe, a socket or a device"),
            "put a plain file there",
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(trouble)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Trouble::malformed(format!("is too large: {what} has more than 64 KiB"), "put the value alone into it"));
    }
    String::from_utf8(bytes).map_err(|_| {
        Trouble::malformed(
            format!("is not text: {what} is not UTF-8"),
            "write the value as text; it is not decoded from anything",
        )
    })
}
