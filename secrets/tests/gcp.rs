//! Secrets in Google Secret Manager: Google's own client, against its API and a metadata server that are emulated at the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use two_factor::{
    config::{ConfigError, Vars},
    ports::{SecretError, SecretErrorKind, SecretSource},
};
use two_factor_secrets::source;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path, path_regex},
};

const PEPPER: &str = "a pepper for tests, which has 32 bytes or more";

/// Google, as a pod sees it: the metadata server that says who the pod is, and Secret Manager.
struct Google {
    server: MockServer,
    next_priority: AtomicU8,
}

impl Google {
    /// Knows the pod, and no secret.
    async fn start() -> Self {
        let google = Self { server: MockServer::start().await, next_priority: AtomicU8::new(u8::MAX) };
        let token = json!({"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"});
        Mock::given(method("GET"))
            .and(path("/computeMetadata/v1/instance/service-accounts/default/token"))
            .and(header("metadata-flavor", "Google"))
            .respond_with(ResponseTemplate::new(200).set_body_json(token))
            .mount(&google.server)
            .await;
        google.refuses_all(404, "NOT_FOUND", "Secret not found or has no versions.").await;
        google
    }

    async fn answers(&self, request: wiremock::MockBuilder, answer: ResponseTemplate) {
        let priority = self.next_priority.fetch_sub(1, Ordering::SeqCst);
        request.respond_with(answer).with_priority(priority).mount(&self.server).await;
    }

    /// Holds this text in the version of a secret, as `project/secret/version`.
    async fn holds(&self, [project, secret, version]: [&str; 3], text: &[u8]) {
        let name = format!("projects/{project}/secrets/{secret}/versions/{version}");
        let request =
            Mock::given(method("GET")).and(path(format!("/v1/{name}:access"))).and(header("authorization", "Bearer ya29.token"));
        let body = json!({"name": name, "payload": {"data": STANDARD.encode(text)}});
        self.answers(request, ResponseTemplate::new(200).set_body_json(body)).await;
    }

    async fn refuses(&self, secret: &str, code: u16, status: &str, message: &str) {
        let request = Mock::given(method("GET")).and(path(format!("/v1/projects/p/secrets/{secret}/versions/latest:access")));
        self.answers(request, refusal(code, status, message)).await;
    }

    async fn refuses_all(&self, code: u16, status: &str, message: &str) {
        let request = Mock::given(method("GET")).and(path_regex("^/v1/projects/.*:access$"));
        self.answers(request, refusal(code, status, message)).await;
    }

    fn source(&self, id: &str, more: &[(&str, &str)]) -> Arc<dyn SecretSource> {
        self.try_source(id, more).unwrap().unwrap()
    }

    fn try_source(&self, id: &str, more: &[(&str, &str)]) -> Result<Option<Arc<dyn SecretSource>>, ConfigError> {
        let url = self.server.uri();
        let host = url.strip_prefix("http://").unwrap();
        let ours = [("SECRET_ID", id), ("GCE_METADATA_HOST", host), ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", &url)];
        let vars = ours.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        source(&Vars::new(vars))
    }

    async fn read(&self, id: &str) -> Result<Value, SecretError> {
        let read = self.source(id, &[]).read().await;
        read.map(|text| serde_json::from_str(text.expose_secret()).expect("a JSON object"))
    }

    /// The secrets that were asked for, without their project.
    async fn asked_for(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let names =
            requests.iter().filter_map(|request| request.url.path().strip_prefix("/v1/projects/p/secrets/").map(str::to_owned));
        names.map(|name| name.split('/').next().unwrap().to_owned()).collect()
    }
}

fn refusal(code: u16, status: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(json!({"error": {"code": code, "status": status, "message": message}}))
}

#[track_caller]
fn assert_told(error: &SecretError, kind: SecretErrorKind, secret: &str, problem: &str, remedy: &str) {
    assert_eq!((error.kind, error.secret.as_str()), (kind, secret), "{error}");
    assert!(error.problem.contains(problem) && error.remedy.contains(remedy), "{error}");
}

#[tokio::test]
async fn a_secret_of_a_project_is_one_json_object_in_its_latest_version_or_the_one_that_is_named() {
    let google = Google::start().await;
    google.holds(["p", "two-factor", "latest"], br#"{"CODE_PEPPER": "new"}"#).await;
    google.holds(["p", "two-factor", "7"], br#"{"CODE_PEPPER": "old"}"#).await;
    assert_eq!(google.read("gcp:projects/p/secrets/two-factor").await.unwrap(), json!({"CODE_PEPPER": "new"}));
    assert_eq!(google.read("gcp:projects/p/secrets/two-factor/versions/7").await.unwrap(), json!({"CODE_PEPPER": "old"}));
    let source = google.source("gcp:projects/p/secrets/two-factor", &[]);
    assert_eq!(source.name(), "gcp:projects/p/secrets/two-factor");
}

#[tokio::test]
async fn a_project_holds_a_secret_a_setting_and_what_is_not_there_is_unset() {
    let google = Google::start().await;
    google.holds(["p", "code-pepper", "latest"], format!("{PEPPER}\n").as_bytes()).await;
    google.holds(["p", "twilio-account-sid", "latest"], b"AC0123456789abcdef0123456789abcdef").await;
    google.holds(["p", "twilio-auth-token", "latest"], b"0123456789abcdef0123456789abcdef\n").await;
    google.holds(["p", "twilio-phone-number", "latest"], b"+15005550006\r\n").await;
    google.holds(["p", "django-secret-key", "latest"], b"of somebody else").await;
    assert_eq!(
        google.read("gcp:projects/p").await.unwrap(),
        json!({
            "CODE_PEPPER": PEPPER,
            "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
            "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
            "TWILIO_PHONE_NUMBER": "+15005550006",
        })
    );
    let asked = google.asked_for().await;
    assert!(asked.contains(&"vonage-api-secret".to_owned()) && !asked.contains(&"django-secret-key".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"table-name".to_owned()), "only what may be secret: {asked:?}");
}

#[tokio::test]
async fn what_a_variable_says_is_not_asked_for() {
    let google = Google::start().await;
    google.holds(["p", "twilio-account-sid", "latest"], b"AC0123456789abcdef0123456789abcdef").await;
    let source = google.source("gcp:projects/p", &[("CODE_PEPPER", PEPPER), ("AUTH_JWT_SECRET", PEPPER)]);
    source.read().await.unwrap();
    let asked = google.asked_for().await;
    assert!(!asked.contains(&"code-pepper".to_owned()) && !asked.contains(&"auth-jwt-secret".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn each_read_is_a_new_one_so_that_a_rotation_takes_no_restart() {
    let google = Google::start().await;
    let source = google.source("gcp:projects/p", &[]);
    let token = async || {
        serde_json::from_str::<Value>(source.read().await.unwrap().expose_secret()).unwrap()["TWILIO_AUTH_TOKEN"].clone()
    };
    google.holds(["p", "twilio-auth-token", "latest"], b"before").await;
    assert_eq!(token().await, "before");
    google.holds(["p", "twilio-auth-token", "latest"], b"after").await;
    assert_eq!(token().await, "after");
}

#[tokio::test]
async fn a_refused_permission_names_the_secret_and_the_role() {
    const DENIED: &str = "Permission 'secretmanager.versions.access' denied for resource (or it may not exist).";
    let role = "grant roles/secretmanager.secretAccessor on it";
    let google = Google::start().await;
    google.refuses_all(403, "PERMISSION_DENIED", DENIED).await;
    let error = google.read("gcp:projects/p/secrets/two-factor").await.unwrap_err();
    assert_told(&error, SecretErrorKind::NotPermitted, "gcp:projects/p/secrets/two-factor", "may not be read", role);

    // Where nothing may be read, and where the pepper may not.
    let error = google.read("gcp:projects/p").await.unwrap_err();
    assert!(error.secret.starts_with("projects/p/secrets/"), "{error}");
    assert_told(&error, SecretErrorKind::NotPermitted, &error.secret.clone(), "may not be read", role);
    google.holds(["p", "twilio-auth-token", "latest"], b"0123456789abcdef0123456789abcdef").await;
    let error = google.read("gcp:projects/p").await.unwrap_err();
    assert_told(&error, SecretErrorKind::NotPermitted, "projects/p/secrets/code-pepper", "may not be read", role);

    // Google says the same of a secret that is not there: whoever was given single secrets can use them.
    google.holds(["p", "code-pepper", "latest"], PEPPER.as_bytes()).await;
    let read = google.read("gcp:projects/p").await.unwrap();
    assert_eq!(read, json!({"CODE_PEPPER": PEPPER, "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef"}));

    google
        .refuses(
            "two-factor",
            403,
            "PERMISSION_DENIED",
            "Secret Manager API has not been used in project p before or it is disabled.",
        )
        .await;
    let error = google.read("gcp:projects/p/secrets/two-factor").await.unwrap_err();
    assert_told(
        &error,
        SecretErrorKind::NotPermitted,
        "gcp:projects/p/secrets/two-factor",
        "not enabled",
        "gcloud services enable",
    );
}

#[tokio::test]
async fn each_trouble_has_its_remedy_and_nothing_of_a_value_is_shown() {
    let google = Google::start().await;
    let id = "gcp:projects/p/secrets/s";
    assert_told(&google.read(id).await.unwrap_err(), SecretErrorKind::NotFound, id, "is not in Google", "gcloud secrets");
    let error = google.read("gcp:projects/p").await.unwrap_err();
    assert_told(
        &error,
        SecretErrorKind::NotFound,
        "gcp:projects/p",
        "no secret that is named after a setting",
        "create code-pepper",
    );
    google.refuses("s", 400, "FAILED_PRECONDITION", "Secret Version is in DISABLED state.").await;
    assert_told(&google.read(id).await.unwrap_err(), SecretErrorKind::NotFound, id, "disabled or destroyed", "versions add");
    google.refuses("s", 401, "UNAUTHENTICATED", "Request had invalid authentication credentials.").await;
    assert_eq!(google.read(id).await.unwrap_err().kind, SecretErrorKind::NotPermitted);
    google.refuses("s", 500, "INTERNAL", "oops").await;
    assert_eq!(google.read(id).await.unwrap_err().kind, SecretErrorKind::Unavailable);
    google.holds(["p", "s", "latest"], b"\xff\xfe hush").await;
    let error = google.read(id).await.unwrap_err();
    assert_told(&error, SecretErrorKind::Malformed, id, "is binary", "as text");
    assert!(!error.to_string().contains("hush"));
    // An outage that passes is not noticed.
    google.holds(["p", "s", "latest"], b"{}").await;
    let request = Mock::given(method("GET")).and(path("/v1/projects/p/secrets/s/versions/latest:access"));
    request.respond_with(refusal(503, "UNAVAILABLE", "later")).up_to_n_times(1).with_priority(1).mount(&google.server).await;
    assert_eq!(google.read(id).await.unwrap(), json!({}));
}

#[tokio::test]
async fn without_credentials_of_google_it_says_so_in_time() {
    let google = Google::start().await;
    google.server.reset().await;
    let error = google.read("gcp:projects/p").await.unwrap_err();
    assert_eq!(error.kind, SecretErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(text.contains("workload identity") || text.contains("metadata server"), "{text}");
}

#[tokio::test]
async fn a_name_of_no_form_stops_the_start() {
    let google = Google::start().await;
    for wrong in [
        "gcp:",
        "gcp:p",
        "gcp:projects",
        "gcp:projects/",
        "gcp:projects/p/secrets",
        "gcp:projects/p/secrets/a b",
        "gcp:projects/p/secrets/s/versions",
    ] {
        let error = google.try_source(wrong, &[]).err().unwrap_or_else(|| panic!("{wrong}")).to_string();
        assert!(error.starts_with("SECRET_ID: must be") && error.contains("gcp:projects/P"), "{wrong}: {error}");
    }
    let elsewhere = [("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", "http://example.com")];
    let vars =
        elsewhere.iter().chain(&[("SECRET_ID", "gcp:projects/p")]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let error = source(&Vars::new(vars)).err().unwrap().to_string();
    assert!(error.starts_with("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: "), "{error}");
}
