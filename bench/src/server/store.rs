//! What the server keeps accounts in: the embedded database, or a store that answers at once and forgets what it is told.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::IntoResponse as _,
    routing::post,
};
use serde_json::json;
use tokio::net::TcpListener;
use two_factor::{
    adapters::{
        dynamodb::{client, table::ensure_table},
        http::public_client,
    },
    config::Vars,
};
use two_factor_local::database::{EmbeddedDatabase, sdk_config};

use crate::{accounts::Account, client::Client, process::Process};

const TABLE: &str = "sms-2fa";

pub(crate) struct Store {
    endpoint: String,
    kind: Kind,
}

enum Kind {
    Embedded {
        _database: EmbeddedDatabase,
        /// How many users have enrolled.
        users: usize,
    },
    /// Every read is answered with this account.
    AtOnce(Account),
}

impl Store {
    /// The embedded database, in memory.
    pub(crate) async fn embedded() -> Self {
        let database = EmbeddedDatabase::start(None, 0).unwrap();
        ensure_table(&client(&sdk_config(&database.endpoint()).unwrap()), TABLE).await.unwrap();
        Self { endpoint: database.endpoint(), kind: Kind::Embedded { _database: database, users: 0 } }
    }

    /// A store whose every answer is ready: each read finds the same account, with a code that is out, and each write succeeds.
    pub(crate) async fn that_answers_at_once(binary: &Path) -> Self {
        let mut embedded = Self::embedded().await;
        let server = Process::start(binary, embedded.endpoint()).await;
        let mut client = Client::connect(server.address).await;
        let mut account = embedded.account(&server, &mut client, true).await;
        account.is_fixed = true;
        drop(client);
        server.stop().await;
        let keys = json!([{"pk": {"S": "USER#user-0"}, "sk": {"S": "ACCOUNT"}}]);
        let read = json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true}}});
        let read = public_client(&Vars::default())
            .unwrap()
            .post(&embedded.endpoint)
            .header("x-amz-target", "DynamoDB_20120810.BatchGetItem")
            .body(read.to_string());
        let found: Arc<str> = read.send().await.unwrap().text().await.unwrap().into();
        assert!(found.contains("USER#user-0"), "{found}");

        let answer = async move |headers: HeaderMap, _: Bytes| {
            let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
            let body = if target.ends_with("BatchGetItem") { found.to_string() } else { "{}".to_owned() };
            ([(CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, Router::new().route("/", post(answer))).await });
        Self { endpoint, kind: Kind::AtOnce(account) }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Embedded { .. } => "embedded database",
            Kind::AtOnce(_) => "a store that answers at once",
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether what is done counts against limits.
    pub(crate) const fn has_limits(&self) -> bool {
        matches!(self.kind, Kind::Embedded { .. })
    }

    /// An account that nobody has used yet, or the only one that there is.
    pub(crate) async fn account(&mut self, server: &Process, client: &mut Client, with_code: bool) -> Account {
        match &mut self.kind {
            Kind::AtOnce(account) => account.clone(),
            Kind::Embedded { users, .. } => {
                let number = *users;
                *users += 1;
                Account::enroll(server, client, number, with_code).await
            }
        }
    }
}
