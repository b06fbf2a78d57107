//! What `make run` prints: where everything is, a token, and commands that work when pasted.

use std::fmt::Display;

use crate::stack::Stack;

/// The text for a stack that has just started. `token` is a token for the user `alice`, or why there is none.
pub fn text(stack: &Stack, token: Result<&str, &impl Display>) -> String {
    let url = stack.server.url();
    let mut text = format!("\nSMS two-factor authentication, for development\n\n  service   {url}/api/v1/auth/2fa/\n");
    let mut line = |line: String| text.extend([&line, "\n"]);
    match &stack.database {
        Some(database) => line(format!("  database  embedded DynamoDB at {}", database.endpoint())),
        None => line("  database  the DynamoDB that AWS_ENDPOINT_URL names".to_owned()),
    }
    if stack.inbox.is_some() {
        line(format!("  inbox     {url}/_inbox shows the text messages; they are printed here too"));
    }
    let token = match token {
        Ok(token) => token,
        Err(error) => {
            line(format!("  token     none: {error}"));
            return text;
        }
    };
    line(format!("  token     {token}"));
    line("            (user alice, 30 days; for another user: make token SUB=bob)\n".to_owned());

    let call = |method: &str, path: &str, body: &str| {
        let body =
            if body.is_empty() { String::new() } else { format!(" \\\n    -H 'Content-Type: application/json' -d {body}") };
        format!("curl -s -X {method} {url}/api/v1/auth/2fa/{path}/ \\\n    -H 'Authorization: Bearer {token}'{body}")
    };
    let setup = call("POST", "setup", r#"'{"method": "sms", "phone_number": "+14155551234"}'"#);
    line("Paste these, one after the other: start enrollment, verify the code, see the result.\n".to_owned());
    if stack.inbox.is_some() {
        line(format!("  {setup}; echo\n"));
        line(format!("  CODE=$(curl -s {url}/_inbox | grep -o '\"Body\":\"[0-9]*' | tail -n 1 | grep -o '[0-9]*$')"));
    } else {
        line(format!("  ANSWER=$({setup}); echo \"$ANSWER\"\n"));
        line("  CODE=$(echo \"$ANSWER\" | grep -o 'use code: [0-9]*' | grep -o '[0-9]*$')".to_owned());
    }
    line(format!("  {}; echo\n", call("POST", "verify", r#""{\"code\": \"$CODE\"}""#)));
    line(format!("  {}; echo\n", call("GET", "setup", "")));
    line("Ctrl-C stops it.".to_owned());
    text
}
