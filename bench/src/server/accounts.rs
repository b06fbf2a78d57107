//! Users who have enrolled.

use serde_json::{Value, json};

use crate::{
    client::{Client, Request},
    process::Process,
};

/// How many wrong codes an account takes before its code is burned (`CODE_MAX_ATTEMPTS`, at its largest).
pub(crate) const ATTEMPTS: usize = 10;

/// How many sends an account has after its enrollment (`SMS_MAX_PER_WINDOW`, at its largest).
pub(crate) const SENDS: usize = 98;

/// A user who has enrolled.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) token: String,
    /// The code to sign in with that was sent last.
    pub(crate) code: String,
    /// Whether the store forgets all that is stored, and so goes on with that code for ever.
    pub(crate) is_fixed: bool,
}

impl Account {
    /// Enrolls the user of this number, and sends a code to sign in with if that is wanted.
    pub(crate) async fn enroll(server: &Process, client: &mut Client, number: usize, with_code: bool) -> Self {
        let token = server.token(&format!("user-{number}"));
        // Each has a phone of their own, since sends to one are limited, too.
        let setup = json!({"method": "sms", "phone_number": format!("+1201{:07}", 2_000_000 + number)});
        let code = code_in(&client.send(&Request::new("POST", "setup", &token, &setup)).await);
        let mut account = Self { token, code, is_fixed: false };
        let enabled = client.send(&Request::new("POST", "verify", &account.token, &json!({"code": account.code}))).await;
        assert_eq!(enabled["enabled"], true, "{enabled}");
        if with_code {
            let send = Request::new("POST", "send-sms", &account.token, &json!({"purpose": "sign_in"}));
            account.code = code_in(&client.send(&send).await);
        }
        account
    }

    pub(crate) fn verify(&self, code: &str) -> Request {
        Request::new("POST", "verify", &self.token, &json!({"code": code, "purpose": "sign_in"}))
    }

    /// A code that is not the one that was sent.
    pub(crate) fn wrong_code(&self) -> String {
        if self.code == "000000" { "000001".to_owned() } else { "000000".to_owned() }
    }
}

/// The code that an answer of development has in it.
pub(crate) fn code_in(answer: &Value) -> String {
    let warning = answer["warning"].as_str().unwrap_or_else(|| panic!("no code was sent: {answer}"));
    warning.rsplit(' ').next().unwrap().to_owned()
}
