//! The function `any`, and what greedy routes bring to each function: events as the gateway makes them of routes that end in
//! `{proxy+}`.

use reqwest::Method;
use serde_json::{Value, json};
use two_factor::api::gateway_event::Event;
use two_factor_tests::service::{HOME, TestService, User};

const BASE: &str = "/api/v1/auth/2fa";

/// An event of an HTTP API, whose route for it ends in a greedy variable.
fn event(user: &User<'_>, method: &str, below: &str, route: &str, body: &str) -> Event {
    let path = format!("{BASE}/{below}");
    let event = json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "", "body": body, "isBase64Encoded": false,
        "headers": {"content-type": "application/json", "authorization": format!("Bearer {}", user.token())},
        "requestContext": {"requestId": "r-1", "stage": "$default", "routeKey": route,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "curl/8"}},
    });
    serde_json::from_value(event).unwrap()
}

#[tokio::test]
async fn the_net_does_for_each_path_what_its_own_function_does() {
    let service = TestService::development(&[("SMS_COOLDOWN_SECONDS", "0")]).await;
    let alice = service.user("alice");
    let call = async |method: &Method, below: &str, body: Value| {
        let event = event(&alice, method.as_str(), below, "ANY /api/v1/auth/2fa/{proxy+}", &body.to_string());
        service.invoke_any(&event).await
    };
    for slash in ["", "/"] {
        let setup = format!("setup{slash}");
        call(&Method::POST, &setup, json!({"method": "sms", "phone_number": HOME})).await.expect(200);
        let code = call(&Method::POST, &format!("send-sms{slash}"), json!({})).await.expect(200).development_code();
        let enabled = call(&Method::POST, &format!("verify{slash}"), json!({"code": code})).await.expect(200);
        assert_eq!(call(&Method::GET, &setup, json!({})).await.expect(200).body["enabled"], true);
        let proof = json!({"code": enabled.backup_codes()[0]});
        assert_eq!(call(&Method::DELETE, &setup, proof).await.expect(200).body, json!({"enabled": false}));
    }
}

#[tokio::test]
async fn the_net_says_itself_what_is_nowhere_and_which_methods_a_path_takes() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    let call = async |method: &str, below: &str| {
        service.invoke_any(&event(&alice, method, below, "ANY /api/v1/auth/2fa/{proxy+}", "{}")).await
    };
    for nowhere in ["setup/extra", "setup//", "setups/", "", "verify/../setup", ".well-known"] {
        for method in ["POST", "GET", "OPTIONS", "BREW"] {
            let reply = call(method, nowhere).await;
            assert_eq!(reply.header("x-request-id"), "r-1");
            reply.expect_problem(404, "not_found");
        }
    }
    for (path, allow) in [("setup/", "POST, GET, DELETE"), ("send-sms", "POST"), ("verify/", "POST")] {
        let refused = call("PUT", path).await;
        assert_eq!(refused.header("allow"), allow, "{path}");
        refused.expect_problem(405, "method_not_allowed");
        // A preflight request has no token, and must get a success for the browser to go on.
        let told = call("OPTIONS", path).await.expect(204);
        assert_eq!((told.header("allow"), &told.body), (allow, &json!("")), "{path}");
    }
}

#[tokio::test]
async fn a_function_behind_a_greedy_route_takes_its_path_with_a_slash_and_nothing_below_it() {
    let service = TestService::development(&[]).await;
    let alice = service.user("alice");
    for (method, function, status) in [("GET", "setup", 200), ("DELETE", "setup", 409), ("POST", "send-sms", 409)] {
        let route = format!("{method} {BASE}/{function}/{{proxy+}}");
        for (below, status) in [("/", status), ("/extra", 404), ("//", 404), ("/extra/", 404)] {
            let event = event(&alice, method, &format!("{function}{below}"), &route, "");
            let reply = service.invoke(&format!("{BASE}/{function}"), &event).await;
            assert_eq!(reply.status, status, "{method} {function}{below}: {}", reply.body);
        }
    }
}
