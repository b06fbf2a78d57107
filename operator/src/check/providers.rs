//! The REST providers: whether they take our credentials, whether there is money, and whether the sender is ours. And whether what
//! is reckoned with for messages is still what they cost.

use reqwest::{Client, RequestBuilder, Url, header::AUTHORIZATION};
use serde_json::Value;
use two_factor::{
    adapters::http::{BodyError, read_body},
    config::{
        sender::SenderId,
        sms::{
            MessageBirdApi, MessageBirdConfig, PlivoConfig, PlivoSender, TwilioAuth, TwilioConfig, TwilioSender, VonageConfig,
        },
        url::BaseUrl,
    },
    domain::{Timestamp, price},
};

use super::{Finding, Problem, innermost};

/// No answer that is of interest here comes near it.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// A provider's answer.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }

    /// A number, or a text that is one.
    fn number(&self, pointer: &str) -> Option<f64> {
        let value = self.body.pointer(pointer)?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    fn is_refused(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

async fn get(request: RequestBuilder) -> Result<Answer, Problem> {
    let unreachable = |error: &reqwest::Error| {
        Problem::new(
            format!("it cannot be reached: {}", innermost(error)),
            "look at the network, its status page and its …_BASE_URL, if one is set",
        )
    };
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status().as_u16();
    let body = read_body(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
        BodyError::TooLong => unexpected(status),
        BodyError::Lost(error) => unreachable(&error),
    })?;
    Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn unexpected(status: u16) -> Problem {
    Problem::new(
        format!("it answers {status}, which makes no sense here"),
        "look at its status page and its …_BASE_URL, if one is set",
    )
}

fn not_taken(variables: &str) -> Problem {
    Problem::new(
        "it does not take the credentials",
        format!("compare {variables} with the provider's console: rotated, revoked, mistyped?"),
    )
}

fn no_money(balance: &str) -> Problem {
    Problem::new(format!("the balance is {balance}: messages are refused"), "top up the account, and let it recharge itself")
}

/// How old the prices are that the cost metrics and the cost alarm reckon with.
pub(super) fn prices(now: Timestamp) -> Finding {
    let date = price::date();
    if price::are_outdated(now) {
        let remedy = "compare shared/src/domain/prices.csv with your contracts, set its date, and deploy";
        return Err(Problem::new(format!("the list of {date} is older than a year: the cost metrics reckon with it"), remedy));
    }
    Ok(format!("list of {date}"))
}

/// Twilio: the account, its balance and the sender. A standard API key may see neither account nor balance, but sends all the same.
pub(super) async fn twilio(http: &Client, config: &TwilioConfig, is_production: bool) -> Finding {
    let TwilioConfig { account_sid, auth, from, base_url } = config;
    let (user, password, variables) = match auth {
        TwilioAuth::ApiKey(sid, secret) => (sid, secret, "TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET"),
        TwilioAuth::AuthToken(token) => (account_sid, token, "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
    };
    let is_key = matches!(auth, TwilioAuth::ApiKey(..));
    let ask = |url: String| get(http.get(url).basic_auth(user, Some(password.expose())));
    let account_url = format!("{}/2010-04-01/Accounts/{account_sid}", base_url.as_str());
    let mut facts = Vec::new();
    let mut is_known = false;

    let account = ask(format!("{account_url}.json")).await?;
    match account.status {
        200 => {
            is_known = true;
            let status = account.text("/status").unwrap_or("unknown");
            if status != "active" {
                return Err(Problem::new(
                    format!("the account is {status}"),
                    "the console's first page says why; Twilio's support lifts it",
                ));
            }
            match account.text("/type") {
                Some("Trial") if is_production => {
                    let what = "it is a trial account: only verified numbers get messages (error 21608)";
                    return Err(Problem::new(what, "upgrade the account in the console"));
                }
                Some("Trial") => facts.push("trial account: verified numbers only".to_owned()),
                _ => facts.push("account active".to_owned()),
            }
        }
        401 | 403 if is_key => {}
        401 | 403 => return Err(not_taken(variables)),
        404 => return Err(Problem::new("there is no such account", "compare TWILIO_ACCOUNT_SID with the console's first page")),
        status => return Err(unexpected(status)),
    }

    let balance = ask(format!("{account_url}/Balance.json")).await?;
    if let (200, Some(amount)) = (balance.status, balance.number("/balance")) {
        is_known = true;
        let shown = format!("{} {}", balance.text("/balance").unwrap_or_default(), balance.text("/currency").unwrap_or_default());
        if amount <= 0.0 {
            return Err(no_money(shown.trim()));
        }
        facts.push(format!("balance {}", shown.trim()));
    }

    match twilio_sender(from, base_url, &account_url, ask).await? {
        Sender::Ours(sender) => facts.push(format!("sends as {sender}")),
        Sender::Unseen(_) if !is_known => return Err(not_taken(variables)),
        Sender::Unseen(why) => facts.push(why),
    }
    if is_key && !facts.iter().any(|fact| fact.starts_with("account")) {
        facts.push("the API key may not see the account".to_owned());
    }
    Ok(facts.join("; "))
}

/// What can be said of a sender.
enum Sender {
    /// It is the account's, and can send text messages.
    Ours(String),
    /// That cannot be looked up.
    Unseen(String),
}

async fn twilio_sender<F>(
    from: &TwilioSender,
    base: &BaseUrl,
    account: &str,
    ask: impl Fn(String) -> F,
) -> Result<Sender, Problem>
where
    F: Future<Output = Result<Answer, Problem>>,
{
    match from {
        TwilioSender::MessagingService(sid) => {
            // The same host in each region, but for its first label.
            let host = base.as_str().replacen("://api.", "://messaging.", 1);
            let service = format!("{host}/v1/Services/{sid}");
            let found = ask(service.clone()).await?;
            match found.status {
                200 => {}
                404 => {
                    let remedy = "compare TWILIO_MESSAGING_SERVICE_SID with the console: Messaging, Services";
                    return Err(Problem::new(format!("there is no Messaging Service {sid}"), remedy));
                }
                _ if found.is_refused() => return Ok(Sender::Unseen(format!("may not look at {sid}"))),
                status => return Err(unexpected(status)),
            }
            let senders = ["PhoneNumbers", "ShortCodes", "AlphaSenders"];
            let lists = ["/phone_numbers", "/short_codes", "/alpha_senders"];
            let mut has_sender = false;
            for (kind, list) in senders.into_iter().zip(lists) {
                let found = ask(format!("{service}/{kind}?PageSize=1")).await?;
                // Where the list is not shown, nothing says that it is empty.
                has_sender |= found.body.pointer(list).and_then(Value::as_array).is_none_or(|senders| !senders.is_empty());
            }
            if has_sender {
                Ok(Sender::Ours(format!("the Messaging Service {sid}")))
            } else {
                let what = format!("the Messaging Service {sid} has no sender (error 21703)");
                Err(Problem::new(what, "add a number to its sender pool in the console"))
            }
        }
        TwilioSender::Number(number) => {
            let shown = number.with_plus();
            let (resource, parameter, list) = match kind(number) {
                Kind::Number => ("IncomingPhoneNumbers", "PhoneNumber", "/incoming_phone_numbers"),
                Kind::ShortCode => ("SMS/ShortCodes", "ShortCode", "/short_codes"),
                Kind::Name => return Ok(Sender::Unseen(format!("sends as {shown}, which cannot be looked up"))),
            };
            let url = Url::parse_with_params(&format!("{account}/{resource}.json"), [(parameter, &shown)]);
            let found = ask(url.map_err(|_| unexpected(0))?.into()).await?;
            if found.is_refused() {
                return Ok(Sender::Unseen(format!("may not look at {shown}")));
            }
            let Some(numbers) = found.body.pointer(list).and_then(Value::as_array) else { return Err(unexpected(found.status)) };
            match numbers.first() {
                None => {
                    let remedy = "set TWILIO_PHONE_NUMBER to one of Phone Numbers, Active numbers, in the console";
                    Err(Problem::new(format!("{shown} is not a number of this account"), remedy))
                }
                Some(number) if number.pointer("/capabilities/sms") == Some(&Value::Bool(false)) => Err(Problem::new(
                    format!("{shown} cannot send text messages"),
                    "get a number that can, and set TWILIO_PHONE_NUMBER to it",
                )),
                Some(_) => Ok(Sender::Ours(shown)),
            }
        }
    }
}

enum Kind {
    Number,
    ShortCode,
    Name,
}

fn kind(sender: &SenderId) -> Kind {
    if sender.with_plus().starts_with('+') {
        Kind::Number
    } else if sender.without_plus().bytes().all(|byte| byte.is_ascii_digit()) {
        Kind::ShortCode
    } else {
        Kind::Name
    }
}

/// Vonage: the balance, in EUR.
pub(super) async fn vonage(http: &Client, config: &VonageConfig) -> Finding {
    let VonageConfig { api_key, api_secret, from, base_url } = config;
    let url = format!("{}/account/get-balance", base_url.as_str());
    let answer = get(http.get(url).basic_auth(api_key, Some(api_secret.expose()))).await?;
    if answer.is_refused() {
        return Err(not_taken("VONAGE_API_KEY and VONAGE_API_SECRET"));
    }
    let (200, Some(balance)) = (answer.status, answer.number("/value")) else { return Err(unexpected(answer.status)) };
    let shown = format!("{balance:.2} EUR");
    if balance <= 0.0 {
        return Err(no_money(&shown));
    }
    Ok(format!("balance {shown}; sends as {}", from.with_plus()))
}

/// `MessageBird`: the balance, of accounts that pay before. Bird's API shows none: there a list of nothing tells whether it takes
/// the key.
pub(super) async fn messagebird(http: &Client, config: &MessageBirdConfig) -> Finding {
    let MessageBirdConfig { api, access_key, from, base_url } = config;
    let key = access_key.expose();
    let request = match api {
        MessageBirdApi::Classic => {
            http.get(format!("{}/balance", base_url.as_str())).header(AUTHORIZATION, format!("AccessKey {key}"))
        }
        MessageBirdApi::Bird => http.get(format!("{}/v1/sms/messages?limit=1", base_url.as_str())).bearer_auth(key),
    };
    let answer = get(request).await?;
    if answer.is_refused() {
        return Err(not_taken("MESSAGEBIRD_ACCESS_KEY"));
    }
    let sender = from.with_plus();
    match (api, answer.status) {
        (MessageBirdApi::Classic, 200) => {
            let unit = answer.text("/type").unwrap_or_default();
            match (answer.text("/payment"), answer.number("/amount")) {
                (Some("prepaid"), Some(amount)) if amount <= 0.0 => Err(no_money(&format!("{amount} {unit}"))),
                (Some("prepaid"), Some(amount)) => Ok(format!("balance {amount} {unit}; sends as {sender}")),
                (Some("postpaid"), _) => Ok(format!("pays by invoice; sends as {sender}")),
                _ => Err(unexpected(200)),
            }
        }
        (MessageBirdApi::Bird, 200..=299) => Ok(format!("takes the key; sends as {sender}")),
        // Whatever else it may mean, it is no answer to a wrong key.
        (MessageBirdApi::Bird, 400..=499) => Ok(format!("answers, and does not refuse the key; sends as {sender}")),
        (_, status) => Err(unexpected(status)),
    }
}

/// Plivo: the account, its credit and the sender.
pub(super) async fn plivo(http: &Client, config: &PlivoConfig, is_production: bool) -> Finding {
    let PlivoConfig { auth_id, auth_token, from, base_url } = config;
    let account_url = format!("{}/v1/Account/{auth_id}/", base_url.as_str());
    let ask = |url: String| get(http.get(url).basic_auth(auth_id, Some(auth_token.expose())));
    let account = ask(account_url.clone()).await?;
    match account.status {
        200 => {}
        401 | 403 | 404 => return Err(not_taken("PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN")),
        status => return Err(unexpected(status)),
    }
    let mut facts = Vec::new();
    match account.text("/account_type") {
        Some("developer") if is_production => {
            return Err(Problem::new(
                "it is a trial account: only verified numbers get messages",
                "upgrade the account in the console",
            ));
        }
        Some("developer") => facts.push("trial account: verified numbers only".to_owned()),
        _ => {}
    }
    let credit = account.number("/cash_credits").ok_or_else(|| unexpected(200))?;
    if account.text("/billing_mode") == Some("postpaid") {
        facts.push("pays by invoice".to_owned());
    } else if credit <= 0.0 {
        return Err(no_money(&format!("{credit:.2} USD")));
    } else {
        facts.push(format!("balance {credit:.2} USD"));
    }
    let (path, shown, variable) = match from {
        PlivoSender::Powerpack(uuid) => (format!("Powerpack/{uuid}/"), format!("the powerpack {uuid}"), "PLIVO_POWERPACK_UUID"),
        PlivoSender::Number(number) => match kind(number) {
            Kind::Number => (format!("Number/{}/", number.without_plus()), number.with_plus(), "PLIVO_FROM"),
            Kind::ShortCode | Kind::Name => {
                facts.push(format!("sends as {}, which cannot be looked up", number.with_plus()));
                return Ok(facts.join("; "));
            }
        },
    };
    let sender = ask(format!("{account_url}{path}")).await?;
    match sender.status {
        200 if sender.body.get("sms_enabled") == Some(&Value::Bool(false)) => {
            Err(Problem::new(format!("{shown} cannot send text messages"), format!("set {variable} to one that can")))
        }
        200 => {
            facts.push(format!("sends as {shown}"));
            Ok(facts.join("; "))
        }
        404 => {
            Err(Problem::new(format!("{shown} does not belong to this account"), format!("compare {variable} with the console")))
        }
        status => Err(unexpected(status)),
    }
}
