//! What the local server has for who looks: the inbox, the wire, the levers and the page, as a browser or a program asks for them.

use std::collections::BTreeSet;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use two_factor::{adapters::http::public_client, config::Vars};
use two_factor_local::{sms_inbox::Reply, stack::Stack, welcome};
use two_factor_tests::running_stack::{ENROLL, PRODUCTION, Running, settings, start, twilio_at};

const HOME: &str = "+12015550123";
const WORK: &str = "+447400123456";

/// A stack with an inbox, where nobody waits between two messages.
async fn with_inbox() -> Running {
    start(&[("SMS_INBOX", "1"), ("SMS_COOLDOWN_SECONDS", "0"), ("SMS_MAX_PER_WINDOW", "20")]).await
}

/// What the page does: asks the server itself.
trait Asks {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response;

    async fn json(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.json().await.unwrap()
    }

    async fn pull(&self, path: &str, body: Value) {
        let answer = self.ask(Method::POST, path, Some(body)).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }
}

impl Asks for Running {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.stack.server.url()));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.unwrap()
    }
}

async fn granted(answer: Response) -> Value {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn setup(stack: &Running, number: &str) -> Response {
    stack.call(Method::POST, "setup", Some(json!({"method": "sms", "phone_number": number}).to_string())).await
}

async fn send(stack: &Running, purpose: &str) -> Response {
    stack.call(Method::POST, "send-sms", Some(json!({ "purpose": purpose }).to_string())).await
}

async fn verify(stack: &Running, code: &Value) -> Response {
    stack.call(Method::POST, "verify", Some(json!({ "code": code }).to_string())).await
}

/// The inbox's newest code.
async fn newest(stack: &Running) -> Value {
    stack.json("/_inbox.json").await[0]["code"].clone()
}

/// A field of each message, newest first.
async fn each(stack: &Running, field: &str) -> Vec<Value> {
    stack.json("/_inbox.json").await.as_array().unwrap().iter().map(|message| message[field].clone()).collect()
}

async fn enroll(stack: &Running) {
    granted(setup(stack, HOME).await).await;
    granted(verify(stack, &newest(stack).await).await).await;
}

#[tokio::test]
async fn the_inbox_tells_what_each_code_is_for_and_still_good_for() {
    let stack = with_inbox().await;
    granted(setup(&stack, HOME).await).await;
    assert_eq!(each(&stack, "state").await, ["live"]);
    granted(send(&stack, "enroll").await).await;
    assert_eq!(each(&stack, "state").await, ["live", "superseded"]);
    granted(verify(&stack, &newest(&stack).await).await).await;
    assert_eq!(each(&stack, "state").await, ["used", "superseded"]);
    granted(send(&stack, "sign_in").await).await;
    for _ in 0..5 {
        let code = newest(&stack).await;
        let wrong = if code == "000000" { "111111" } else { "000000" };
        assert_eq!(verify(&stack, &json!(wrong)).await.status(), 400);
    }
    assert_eq!(each(&stack, "state").await, ["exhausted", "used", "superseded"]);
    granted(send(&stack, "change").await).await;
    stack.pull("/_clock", json!({"advance_seconds": 300})).await;
    assert_eq!(each(&stack, "state").await, ["expired", "superseded", "used", "superseded"]);
    granted(send(&stack, "change").await).await;
    // A proof that brings a new code: the old one was used, and the new one is live.
    let proof = json!({"method": "sms", "phone_number": WORK, "code": newest(&stack).await});
    granted(stack.call(Method::POST, "setup", Some(proof.to_string())).await).await;
    assert_eq!(each(&stack, "state").await[..2], ["live", "used"]);
    let replace = json!({"code": newest(&stack).await, "purpose": "replace"});
    granted(stack.call(Method::POST, "verify", Some(replace.to_string())).await).await;

    let messages = stack.json("/_inbox.json").await;
    let [notice, replace, change, ..] = &messages.as_array().unwrap()[..] else { panic!("{messages}") };
    assert_eq!(
        (&notice["number"], &notice["purpose"], &notice["code"], &notice["state"]),
        (&json!(HOME), &Value::Null, &Value::Null, &Value::Null)
    );
    assert!(notice["text"].as_str().unwrap().contains("phone number was changed"), "{notice}");
    assert_eq!((&replace["number"], &replace["purpose"], &replace["state"]), (&json!(WORK), &json!("replace"), &json!("used")));
    assert_eq!((&change["number"], &change["purpose"], &change["user"]), (&json!(HOME), &json!("change"), &json!("alice")));
    let ids: BTreeSet<_> = each(&stack, "id").await.iter().map(Value::to_string).collect();
    assert_eq!(ids.len(), 7, "each has a name of its own");
}

#[tokio::test]
async fn a_code_whose_enrollment_was_dropped_is_withdrawn() {
    let stack = with_inbox().await;
    granted(setup(&stack, HOME).await).await;
    granted(stack.call(Method::DELETE, "setup", None).await).await;
    assert_eq!(each(&stack, "state").await, ["withdrawn"]);
}

#[tokio::test]
async fn a_message_is_known_by_its_number_where_the_providers_answer_was_lost_and_reaches_nobody_where_it_was_refused() {
    let stack = with_inbox().await;
    stack.pull("/_provider", json!({"failure": "cut", "until": "next_message"})).await;
    granted(setup(&stack, HOME).await).await;
    let message = &stack.json("/_inbox.json").await[0];
    assert_eq!((&message["purpose"], &message["state"]), (&json!("enroll"), &json!("live")));
    stack.pull("/_provider", json!({"failure": "rejected", "until": "next_message"})).await;
    assert_eq!(send(&stack, "enroll").await.status(), 502);
    assert_eq!(each(&stack, "state").await, ["withdrawn"], "the message was refused, and its code took the place of the other");
}

#[tokio::test]
async fn messages_are_asked_for_by_number_and_deleted() {
    let stack = with_inbox().await;
    for number in [HOME, WORK] {
        granted(setup(&stack, number).await).await;
    }
    for (path, count) in [
        ("/_inbox", 2),
        ("/_inbox/", 2),
        ("/_inbox.json", 2),
        ("/_inbox.json/", 2),
        ("/_inbox?to=", 2),
        ("/_inbox?to=%2B12015550123", 1),
        // As people type it: a `+` in a query is a space.
        ("/_inbox.json?to=+447400123456", 1),
        ("/_inbox.json?to=12015550123", 1),
        ("/_inbox.json?to=+12015550124", 0),
    ] {
        assert_eq!(stack.json(path).await.as_array().unwrap().len(), count, "{path}");
    }
    assert_eq!(each(&stack, "number").await, [WORK, HOME], "newest first");
    assert_eq!(stack.ask(Method::DELETE, "/_inbox?to=+12015550123", None).await.status(), 204);
    assert_eq!(each(&stack, "number").await, [WORK]);
    assert_eq!(stack.ask(Method::DELETE, "/_inbox.json/", None).await.status(), 204);
    assert_eq!(each(&stack, "number").await, Vec::<Value>::new());
    granted(send(&stack, "enroll").await).await;
    assert_eq!(each(&stack, "state").await, ["live"]);
}

#[tokio::test]
async fn the_inbox_is_a_page_json_or_a_stream_as_accept_says_and_the_stream_ends_with_the_server() {
    let stack = with_inbox().await;
    let get = async |accept: &str| {
        let request = stack.client.get(format!("{}/_inbox", stack.stack.server.url())).header("Accept", accept);
        request.send().await.unwrap()
    };
    let kind = |answer: &Response| answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind(&get("text/html,application/xhtml+xml,*/*;q=0.8").await), "text/html; charset=utf-8");
    assert_eq!(kind(&get("application/json").await), "application/json");
    assert_eq!(kind(&get("*/*").await), "application/json");
    let mut stream = get("text/event-stream").await;
    assert_eq!(kind(&stream), "text/event-stream");
    granted(setup(&stack, HOME).await).await;
    let news = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let data = news.strip_prefix("event: message\ndata: ").unwrap_or_else(|| panic!("{news}"));
    let message: Value = serde_json::from_str(data.lines().next().unwrap()).unwrap();
    assert_eq!(message["number"], HOME);
    assert_eq!(message["text"].as_str().unwrap()[..6], message["code"], "{message}");
    // It would wait for the stream for seconds, and then cut it off.
    let (rest, ()) = tokio::join!(stream.text(), stack.stack.server.stop());
    assert!(rest.unwrap().contains("event: change"), "the request has ended");
}

#[tokio::test]
async fn every_failure_of_the_provider_ends_as_the_page_says() {
    let stack = with_inbox().await;
    let failures = stack.json("/_provider").await["failures"].clone();
    let failures: Vec<_> = failures.as_array().unwrap().iter().filter(|failure| failure["name"] != "timeout").collect();
    assert_eq!(failures.len(), 16);
    for failure in failures {
        let (name, does) = (failure["name"].as_str().unwrap(), failure["does"].as_str().unwrap());
        stack.pull("/_reset", json!({})).await;
        stack.pull("/_provider", json!({"failure": name, "until": "next_message"})).await;
        stack.call(Method::GET, "setup", None).await;
        assert_eq!(stack.json("/_provider").await["trouble"]["failure"], name, "it waits for a message");
        let answer = setup(&stack, HOME).await;
        let (status, id) = (answer.status().as_u16(), answer.headers()["x-request-id"].to_str().unwrap().to_owned());
        let promised = if does.contains("502") { 502 } else { 200 };
        assert_eq!(status, promised, "{name}: {does}");
        let seen = stack.json(&format!("/_wire/{id}")).await;
        let line: Value = serde_json::from_str(seen["log"].as_str().unwrap()).unwrap();
        let class = if promised == 200 { "unknown_outcome" } else { name };
        assert_eq!(line["sms_outcome"], class, "{name}: {line}");
        let delivered = usize::from(does.contains("The message leaves"));
        assert_eq!(each(&stack, "id").await.len(), delivered, "{name}: {does}");

        // Once is once.
        assert_eq!(stack.json("/_provider").await["trouble"], Value::Null, "{name}");
        granted(setup(&stack, WORK).await).await;
        assert_eq!(each(&stack, "number").await[0], WORK, "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_until_it_is_mended_does_so_for_every_message() {
    let stack = with_inbox().await;
    for (failure, outcome) in [("not_sent", "provider_unavailable"), ("opted_out", "opted_out")] {
        stack.pull("/_provider", json!({ "failure": failure })).await;
        for _ in 0..3 {
            let refused: Value = setup(&stack, HOME).await.json().await.unwrap();
            assert_eq!(refused["reason"], outcome, "{failure}: {refused}");
        }
        assert_eq!(stack.json("/_provider").await["trouble"], json!({"failure": failure, "until": "reset"}));
        stack.pull("/_provider", json!({"failure": null})).await;
    }
    granted(setup(&stack, HOME).await).await;
    let unknown = stack.ask(Method::POST, "/_provider", Some(json!({"failure": "sulks"}))).await;
    assert_eq!(unknown.status(), 400);
    let without = start(&[]).await;
    let none = without.ask(Method::POST, "/_provider", Some(json!({"failure": "not_sent"}))).await;
    assert_eq!(none.status(), 409);
    assert!(none.text().await.unwrap().contains("SMS_INBOX=1"), "what helps");
}

#[tokio::test]
async fn a_reset_forgets_everything_and_returns_to_the_present() {
    let stack = with_inbox().await;
    enroll(&stack).await;
    stack.pull("/_clock/", json!({"advance_seconds": 86400})).await;
    stack.pull("/_provider/", json!({"failure": "not_sent"})).await;
    assert_eq!(stack.ask(Method::POST, "/_reset", None).await.status(), 204);
    let status: Value = stack.call(Method::GET, "setup", None).await.json().await.unwrap();
    assert_eq!(status["enabled"], false);
    assert_eq!(each(&stack, "id").await, Vec::<Value>::new());
    assert_eq!(stack.json("/_wire").await.as_array().unwrap().len(), 1, "the question after it");
    assert_eq!(stack.json("/_clock").await["ahead_seconds"], 0);
    assert_eq!(stack.json("/_provider").await["trouble"], Value::Null);
    enroll(&stack).await;
}

#[tokio::test]
async fn a_request_is_seen_with_its_answer_its_line_and_its_records_but_without_its_token() {
    let stack = with_inbox().await;
    let answer = stack.call(Method::POST, "setup", Some(ENROLL.to_owned())).await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = answer.text().await.unwrap();
    let exchange = stack.json("/_wire").await[0].clone();
    assert_eq!(exchange["id"], id);
    assert_eq!((&exchange["method"], &exchange["path"]), (&json!("POST"), &json!("/api/v1/auth/2fa/setup/")));
    assert_eq!((&exchange["user"], &exchange["has_token"]), (&json!("alice"), &json!(true)));
    assert_eq!((&exchange["body"], &exchange["answer"], &exchange["status"]), (&json!(ENROLL), &json!(body), &json!(200)));
    assert!(!exchange.to_string().contains(&stack.token), "{exchange}");

    let seen = stack.json(&format!("/_wire/{id}/")).await;
    let line: Value = serde_json::from_str(seen["log"].as_str().unwrap()).unwrap();
    assert_eq!((&line["request_id"], &line["outcome"], &line["purpose"]), (&json!(id), &json!("success"), &json!("enroll")));
    let events: Vec<_> = seen["audit"].as_array().unwrap().iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["setup", "send"], "{seen}");
    assert_eq!((&seen["audit"][0]["phone"], &seen["audit"][0]["request_id"]), (&json!("+1****0123"), &json!(id)));
    assert_eq!(stack.ask(Method::GET, "/_wire/nobody-s", None).await.status(), 404);

    // What is seen changes nothing: neither what is refused for its size, nor what comes without a token.
    let huge = stack.call(Method::POST, "setup", Some("x".repeat(11 << 20))).await;
    assert_eq!(huge.status(), 413);
    let stranger = stack.client.get(stack.url("setup")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    let seen = stack.json("/_wire").await;
    assert_eq!((&seen[0]["status"], &seen[0]["user"], &seen[0]["has_token"]), (&json!(401), &Value::Null, &json!(false)));
    assert_eq!(seen[1]["status"], 413);
    assert!(seen[1]["body"].as_str().unwrap().len() < 10_000, "as much as is of use");
}

#[tokio::test]
async fn what_makes_tokens_and_tells_codes_is_for_no_page_of_another_origin() {
    let stack = with_inbox().await;
    let (own, port) = (stack.stack.server.url(), stack.stack.server.address().port());
    for (method, path, body) in [
        (Method::POST, "/_token", Some(json!({"user": "alice"}))),
        (Method::POST, "/_token/", Some(json!({"user": "alice"}))),
        (Method::GET, "/_wire", None),
        (Method::GET, "/_events", None),
        (Method::POST, "/_reset", None),
        (Method::POST, "/_provider", Some(json!({"failure": null}))),
        (Method::GET, "/_lab", None),
        (Method::GET, "/", None),
    ] {
        for (origin, host, status) in [
            (Some("https://app.example.com"), None, 403),
            (Some("http://localhost:5173"), None, 403),
            (Some("null"), None, 403),
            (None, Some("rebound.example.com".to_owned()), 421),
            (Some(&*own), None, 200),
            (None, None, 200),
            (None, Some(format!("localhost:{port}")), 200),
        ] {
            let request = stack.client.request(method.clone(), format!("{own}{path}"));
            let request = if let Some(body) = &body { request.json(body) } else { request };
            let request = if let Some(origin) = origin { request.header("Origin", origin) } else { request };
            let request = if let Some(host) = &host { request.header("Host", host) } else { request };
            let answer = request.send().await.unwrap();
            let expected = if status == 200 && path == "/_reset" { 204 } else { status };
            assert_eq!(answer.status(), expected, "{method} {path}, {origin:?}, {host:?}");
            let allows = answer.headers().contains_key("access-control-allow-origin");
            assert!(!allows, "{method} {path}, {origin:?}");
        }
    }
    let nobody = stack.ask(Method::POST, "/_token", Some(json!({"user": ""}))).await;
    assert_eq!(nobody.status(), 400);
}

#[tokio::test]
async fn a_token_of_the_page_is_that_users() {
    let stack = with_inbox().await;
    enroll(&stack).await;
    for (user, enabled) in [("alice", true), ("bob", false)] {
        let token = stack.ask(Method::POST, "/_token", Some(json!({ "user": user }))).await.json::<Value>().await.unwrap();
        let status = stack.client.get(stack.url("setup")).bearer_auth(token["token"].as_str().unwrap());
        assert_eq!(status.send().await.unwrap().json::<Value>().await.unwrap()["enabled"], enabled, "{user}");
    }
}

#[tokio::test]
async fn production_has_no_page_and_a_real_provider_no_levers() {
    let inbox: Vec<_> = PRODUCTION.into_iter().chain([("SMS_INBOX", "1")]).collect();
    for settings in [&PRODUCTION[..], &inbox[..]] {
        let stack = start(settings).await;
        for path in ["/", "/_token", "/_wire", "/_lab", "/_events", "/_provider", "/_reset", "/_clock", "/_page/main.js"] {
            for method in [Method::GET, Method::POST] {
                let answer = stack.ask(method, path, Some(json!({"user": "alice"}))).await;
                assert_eq!(answer.status(), 404, "{path}");
                assert_eq!(answer.json::<Value>().await.unwrap()["code"], "not_found", "{path}");
            }
        }
        assert!(!welcome_of(&stack).contains("  page "));
    }
    let real: Vec<_> = [("APP_ENV", "development")].into_iter().chain(twilio_at("http://127.0.0.1:1")).collect();
    let stack = start(&real).await;
    let about = stack.json("/_lab").await;
    assert_eq!((&about["messages"], &about["providers"]), (&json!("providers"), &json!(["twilio"])));
    assert_eq!((&about["moves_clock"], &about["resets"]), (&json!(false), &json!(false)));
    assert_eq!(stack.ask(Method::POST, "/_reset", None).await.status(), 409);
    assert_eq!(stack.ask(Method::POST, "/_provider", Some(json!({"failure": "cut"}))).await.status(), 409);
    assert_eq!(stack.ask(Method::GET, "/_inbox", None).await.status(), 404);
}

fn welcome_of(stack: &Running) -> String {
    welcome::text(&stack.stack, Ok::<_, &String>(&stack.token))
}

#[tokio::test]
async fn the_pages_name_nothing_but_files_that_are_there_and_hold_no_script_of_their_own() {
    let stack = with_inbox().await;
    let client = public_client(&Vars::default()).unwrap();
    let mut files: Vec<String> = vec!["/".to_owned(), "/_inbox".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = files.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let request = client.get(format!("{}{path}", stack.stack.server.url())).header("Accept", "text/html");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        if path.starts_with("/docs") || path == "/_inbox.json" {
            continue;
        }
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        let is_page = answer.headers()["content-type"].to_str().unwrap().starts_with("text/html");
        let text = answer.text().await.unwrap();
        for after in ["src=\"", "href=\""] {
            files.extend(text.split(after).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
        for after in [" from \"./", "import \"./"] {
            files.extend(text.split(after).skip(1).map(|rest| format!("/_page/{}", rest.split('"').next().unwrap())));
        }
        files.retain(|file| !file.starts_with('#'));
        let markup = text.replace("&lt;", "");
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "localStorage", "eval("] {
            assert!(!markup.contains(forbidden), "{path} has {forbidden}");
        }
        if is_page {
            assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains(" onclick="), "{path}");
            assert!(text.split("<script").skip(1).all(|rest| rest.split('>').next().unwrap().contains("src=")), "{path}");
        }
    }
    assert_eq!(seen.iter().filter(|path| path.starts_with("/_page/")).count(), 12, "{seen:?}");
}

#[test]
fn the_page_says_of_each_refusal_what_the_guide_says() {
    let (guide, words) = (include_str!("../../../docs/integrate.md"), include_str!("../../../local/page/words.js"));
    let table = guide.split("## What to show for each refusal").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut told = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `code` ")) {
        let [codes, reasons, show] = row.split('|').map(str::trim).skip(1).take(3).collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let names = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect::<Vec<_>>();
        for code in names(codes) {
            let reasons = names(reasons);
            let keys = if reasons.is_empty() {
                vec![code.to_owned()]
            } else {
                reasons.iter().map(|reason| format!("{code}/{reason}")).collect()
            };
            for key in keys {
                assert!(words.contains(&format!("\"{key}\": \"{show}\",")), "{key}: {show}");
                told.insert(key);
            }
        }
    }
    let entries = words.split("const WORDS = {").nth(1).unwrap().split("};").next().unwrap();
    assert_eq!(entries.lines().filter(|line| line.contains("\": \"")).count(), told.len(), "and nothing else");
}

#[tokio::test]
async fn the_welcome_starts_with_the_page_and_tells_of_a_port_that_is_taken() {
    // Whoever has it: this test, or somebody else.
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 3000)).await;
    let mut settings = settings(&[]).unwrap();
    settings.port = None;
    let stack = Stack::start(settings, |_| {}).await.unwrap();
    let url = stack.server.url();
    assert_ne!(stack.server.address().port(), 3000, "{taken:?}");
    let text = welcome::text(&stack, Ok::<_, &String>("a token"));
    let facts: Vec<_> = text.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(facts[0].starts_with(&format!("  page      {url}/")), "{text}");
    assert!(facts[1].contains("port 3000 is taken") && facts[1].contains("PORT"), "{text}");
}

#[tokio::test]
async fn the_stand_in_takes_connections_or_none() {
    let inbox = two_factor_local::sms_inbox::SmsInbox::start(|_| {}).await.unwrap();
    let client = public_client(&Vars::default()).unwrap();
    let send =
        async || client.post(format!("{}/2010-04-01/Accounts/AC1/Messages.json", inbox.url())).form(&[("To", HOME)]).send().await;
    assert_eq!(send().await.unwrap().status(), 201);
    for _ in 0..2 {
        inbox.be_reachable(false).await;
        assert!(send().await.unwrap_err().is_connect(), "also where a connection was kept");
        inbox.be_reachable(true).await;
        assert_eq!(send().await.unwrap().status(), 201);
    }
    inbox.stand(Some(Reply::refusal(400, 21610)));
    for _ in 0..2 {
        assert_eq!(send().await.unwrap().status(), 400);
    }
    inbox.stand(None);
    assert_eq!(send().await.unwrap().status(), 201);
    let delivered: Vec<_> = inbox.received().iter().map(|message| message.is_delivered).collect();
    assert_eq!(delivered, [true, true, true, false, false, true]);
}
