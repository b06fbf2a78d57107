//! A secret that is mounted, as kubelet, the CSI driver, Docker and Cloud Run mount it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use two_factor::{
    config::Vars,
    ports::{SecretError, SecretErrorKind},
};
use two_factor_secrets::source;

/// A folder of its own, which goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("two-factor-secrets-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (file, text) in files {
            folder.write(file, text);
        }
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    fn write(&self, file: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Turns all files to this version at once, as kubelet does, and removes the one before.
    fn publish(&self, version: &str, files: &[(&str, &str)]) {
        for (file, text) in files {
            self.write(&format!("..{version}/{file}"), text);
        }
        let before = fs::read_link(self.path("..data"));
        symlink(format!("..{version}"), self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        match before {
            Ok(before) => fs::remove_dir_all(self.0.join(before)).unwrap(),
            Err(_) => files.iter().for_each(|(file, _)| symlink(format!("..data/{file}"), self.path(file)).unwrap()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a program reads that has this path in `SECRET_ID`.
async fn read(path: &Path) -> Result<Value, SecretError> {
    let vars = Vars::new([("SECRET_ID".to_owned(), format!("file:{}", path.display()))]);
    let text = source(&vars).unwrap().expect("a store outside Secrets Manager").read().await?;
    Ok(serde_json::from_str(text.expose_secret()).unwrap_or_else(|_| text.expose_secret().into()))
}

#[tokio::test]
async fn a_file_is_the_secret_as_it_is() {
    let folder = Folder::with(&[("secret.json", "{\"CODE_PEPPER\": \"p\"}\n"), ("broken", "hush")]);
    assert_eq!(read(&folder.path("secret.json")).await.unwrap(), json!({"CODE_PEPPER": "p"}));
    assert_eq!(read(&folder.path("broken")).await.unwrap(), json!("hush"), "whoever parses it says what is wrong");
    symlink("secret.json", folder.path("link")).unwrap();
    assert_eq!(read(&folder.path("link")).await.unwrap(), json!({"CODE_PEPPER": "p"}));
}

#[tokio::test]
async fn a_folder_has_a_file_for_each_setting_in_either_spelling() {
    let folder = Folder::with(&[
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("twilio-auth-token", "t\n"),
        ("twilio-phone-number", "+15005550006\r\n"),
        ("code-pepper", "p\n\n"),
        ("CODE_PEPPER", "p\n"),
        ("vonage-from", "\"quoted\" and {braced}\u{e9}"),
        ("plivo-from", ""),
    ]);
    folder.write("CODE_PEPPER", "p\n\n");
    assert_eq!(
        read(&folder.0).await.unwrap(),
        json!({
            "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "TWILIO_PHONE_NUMBER": "+15005550006", "CODE_PEPPER": "p\n",
            "VONAGE_FROM": "\"quoted\" and {braced}\u{e9}", "PLIVO_FROM": "",
        })
    );
}

#[tokio::test]
async fn what_is_named_after_no_setting_is_not_read_unless_it_was_probably_meant_as_one() {
    let folder = Folder::with(&[
        ("code-pepper", "p"),
        ("twillio-auth-token", "t"),
        ("sms-providers", "sns"),
        (".hidden", "h"),
        ("..other", "h"),
        ("..data_tmp/code-pepper", "another"),
        ("other/code-pepper", "another"),
    ]);
    folder.write("ca.crt", vec![0xff; 100_000]);
    // Nothing ever writes to it.
    assert!(Command::new("mkfifo").arg(folder.path("events")).status().unwrap().success());
    assert_eq!(
        read(&folder.0).await.unwrap(),
        json!({"CODE_PEPPER": "p", "twillio-auth-token": "t", "SMS_PROVIDERS": "sns"}),
        "the service warns of the last two"
    );
}

#[tokio::test]
async fn a_mounted_folder_is_read_through_its_link_and_turns_to_the_next_version() {
    let folder = Folder::new();
    folder.publish("1", &[("twilio-account-sid", "AC1"), ("twilio-auth-token", "old")]);
    // Of a version that is no more: nothing but the link counts.
    folder.write("vonage-from", "left over");
    let is = |token: &str| json!({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": token});
    assert_eq!(read(&folder.0).await.unwrap(), is("old"));
    folder.publish("2", &[("twilio-account-sid", "AC1"), ("twilio-auth-token", "new")]);
    assert_eq!(read(&folder.0).await.unwrap(), is("new"));
    assert_eq!(read(&folder.path("twilio-auth-token")).await.unwrap(), json!("new"), "one file of it is a secret, too");
}

/// Many, so that removing a version takes its time.
const FILES: [&str; 12] = [
    "twilio-account-sid",
    "twilio-auth-token",
    "twilio-phone-number",
    "code-pepper",
    "code-pepper-previous",
    "auth-jwt-secret",
    "vonage-api-key",
    "vonage-api-secret",
    "vonage-from",
    "plivo-auth-id",
    "plivo-auth-token",
    "plivo-from",
];

#[test]
fn a_version_is_read_whole_or_not_at_all_while_another_takes_its_place() {
    let folder = Folder::new();
    let publish = |version: u32| {
        let value = version.to_string();
        folder.publish(&value, &FILES.map(|file| (file, &*value)));
    };
    publish(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut whole, mut none) = (0, 0);
    std::thread::scope(|scope| {
        // It ends by itself, whatever the reads come to.
        let publisher = scope.spawn(|| (1..2000).for_each(publish));
        while !publisher.is_finished() {
            match runtime.block_on(read(&folder.0)) {
                Ok(read) => {
                    let read = read.as_object().unwrap();
                    assert_eq!(read.len(), FILES.len(), "a version is read in part: {read:?}");
                    let first = read.values().next().unwrap();
                    assert!(read.values().all(|value| value == first), "two versions are mixed: {read:?}");
                    whole += 1;
                }
                // Nobody mounts a secret anew a thousand times a second. Who does is told to look, and nothing worse.
                Err(error) => {
                    assert!(matches!(error.kind, SecretErrorKind::Unavailable | SecretErrorKind::NotFound), "{error}");
                    none += 1;
                }
            }
        }
    });
    assert!(whole > none, "{whole} reads were whole, and {none} came to nothing");
}

#[tokio::test]
async fn each_trouble_names_the_secret_and_what_mends_it_and_shows_nothing_of_it() {
    use SecretErrorKind::{Malformed, NotFound};
    type Make = fn(&Folder);
    let table: &[(Make, &str, SecretErrorKind, &str, &str)] = &[
        (|_| {}, "gone", NotFound, "does not exist", "mount the secret"),
        (|folder| folder.write("file", "hush"), "file/below", NotFound, "does not exist", "correct the path"),
        (|folder| symlink("nowhere", folder.path("secret")).unwrap(), "secret", NotFound, "does not exist", "mount the secret"),
        (|folder| symlink("secret", folder.path("..data")).unwrap(), "", NotFound, "does not exist", "mount the secret"),
        (
            |folder| symlink("nowhere", folder.path("code-pepper")).unwrap(),
            "",
            NotFound,
            "its file \"code-pepper\" does not exist",
            "mount the secret",
        ),
        (|folder| folder.write("secret", [0x68, 0xff]), "secret", Malformed, "not UTF-8", "as text"),
        (|folder| folder.write("code-pepper", [0x68, 0xff]), "", Malformed, "its file \"code-pepper\" is not UTF-8", "as text"),
        (|folder| folder.write("secret", "h".repeat(65_537)), "secret", Malformed, "more than 64 KiB", "the value alone"),
        (
            |folder| folder.write("CODE_PEPPER", "h".repeat(65_537)),
            "",
            Malformed,
            "its file \"CODE_PEPPER\" has more than 64 KiB",
            "the value alone",
        ),
        (|folder| folder.write("code-pepper/hush", "hush"), "", Malformed, "a folder in the place of a file", "the file itself"),
        (
            |folder| {
                folder.write("code-pepper", "hush");
                folder.write("CODE_PEPPER", "hush, too");
            },
            "",
            Malformed,
            "has two values for CODE_PEPPER",
            "remove the one",
        ),
        (
            |folder| folder.write("auth-token", "hush"),
            "",
            Malformed,
            "no file that is named after a setting",
            "twilio-auth-token",
        ),
        (|_| {}, "", Malformed, "no file that is named after a setting", "TWILIO_AUTH_TOKEN"),
        // Nothing ever writes to the pipe, and nobody waits for it.
        (|folder| pipe(folder, "secret"), "secret", Malformed, "is a pipe", "a plain file"),
        (|folder| pipe(folder, "code-pepper"), "", Malformed, "its file \"code-pepper\" is a pipe", "a plain file"),
        (|folder| symlink("/dev/zero", folder.path("code-pepper")).unwrap(), "", Malformed, "a device", "a plain file"),
    ];
    for (make, below, kind, problem, remedy) in table {
        let folder = Folder::new();
        make(&folder);
        let path = if below.is_empty() { folder.0.clone() } else { folder.path(below) };
        let error = read(&path).await.unwrap_err();
        let shown = error.to_string();
        assert_eq!(error.kind, *kind, "{shown}");
        assert!(shown.starts_with(&format!("the secret \"file:{}\" ", path.display())), "{shown}");
        assert!(shown.contains(problem) && shown.contains(remedy), "{shown}: {problem}, {remedy}");
        assert!(!shown.contains("hush") && !format!("{error:?}").contains("hhh"), "{shown}");
    }
}

fn pipe(folder: &Folder, name: &str) {
    assert!(Command::new("mkfifo").arg(folder.path(name)).status().unwrap().success());
}

#[tokio::test]
async fn a_file_of_exactly_64_kib_is_read() {
    let text = "h".repeat(65_536);
    let folder = Folder::with(&[("code-pepper", &text)]);
    assert_eq!(read(&folder.0).await.unwrap()["CODE_PEPPER"], json!(text));
}

/// Set for the program that this test starts as somebody without rights.
const PATH_FOR_NOBODY: &str = "TWO_FACTOR_TEST_PATH";

#[tokio::test]
async fn what_may_not_be_read_is_not_permitted() {
    if let Some(path) = std::env::var_os(PATH_FOR_NOBODY) {
        return refuses(Path::new(&path)).await;
    }
    let folder = Folder::with(&[("code-pepper", "hush"), ("closed/code-pepper", "hush")]);
    for (closed, open) in [("code-pepper", ""), ("closed", "closed"), ("code-pepper", "code-pepper")] {
        fs::set_permissions(folder.path(closed), fs::Permissions::from_mode(0o000)).unwrap();
        let path = folder.path(open);
        // The superuser may read everything, so somebody else has to try.
        if fs::read_dir(folder.path("closed")).is_err() || fs::read(folder.path("code-pepper")).is_err() {
            refuses(&path).await;
            continue;
        }
        let program = folder.path(".program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut nobody = Command::new(program);
        nobody.args(["--exact", "what_may_not_be_read_is_not_permitted"]).env(PATH_FOR_NOBODY, path).uid(65_534).gid(65_534);
        let output = nobody.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}

async fn refuses(path: &Path) {
    let error = read(path).await.unwrap_err();
    assert_eq!(error.kind, SecretErrorKind::NotPermitted, "{error}");
    assert!(error.to_string().contains("may not be read") && error.remedy.contains("fsGroup"), "{error}");
}
