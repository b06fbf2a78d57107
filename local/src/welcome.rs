//! What `make run` prints: where everything is, a token, and commands that work when pasted.

use std::fmt::Display;

use crate::{messages::Messages, stack::Stack};

/// The text for a stack that has just started. `token` is a token for the user `alice`, or why there is none.
pub fn text(stack: &Stack, token: Result<&str, &impl Display>) -> String {
    let url = stack.server.url();
    let mut text = String::from("\nSMS two-factor authentication, for development\n\n");
    let mut line = |line: String| text.extend([&line, "\n"]);
    if stack.has_page {
        line(format!("  page      {url}/  to try it in a browser, and to see what happens"));
    }
    if let Some(port) = stack.taken_port {
        line(format!("            (port {port} is taken; PORT chooses another one)"));
    }
    line(format!("  service   {url}/api/v1/auth/2fa/"));
    line(format!("  API       {url}/docs describes it, and calls it"));
    match &stack.database {
        Some(database) => line(format!("  database  embedded DynamoDB at {}", database.endpoint())),
        None => line("  database  the DynamoDB that AWS_ENDPOINT_URL names".to_owned()),
    }
    match &stack.messages {
        Messages::Answers => line("  messages  none: no SMS provider is configured, so the code is in the answer".to_owned()),
        Messages::Nowhere => line("  messages  none: no SMS provider is configured, so no code can be sent".to_owned()),
        Messages::Inbox(_) => line(format!("  messages  {url}/_inbox shows them; they are printed here too")),
        Messages::Providers(providers) => {
            let names: Vec<_> = providers.iter().map(|provider| provider.as_str()).collect();
            line(format!("  messages  sent by {}, to real phones and for real money", names.join(", or else ")));
        }
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
    let enroll = call("POST", "setup", r#"'{"method": "sms", "phone_number": "+12015550123"}'"#);
    // How the first two commands begin: with what enrolls, and with what puts the code into a variable.
    let (enroll, code) = match &stack.messages {
        Messages::Nowhere => return text,
        Messages::Answers => (
            format!("ANSWER=$({enroll}); echo \"$ANSWER\""),
            "CODE=$(echo \"$ANSWER\" | grep -o 'use code: [0-9]*' | grep -o '[0-9]*$')\n  ".to_owned(),
        ),
        Messages::Inbox(_) => (
            format!("{enroll}; echo"),
            format!("CODE=$(curl -s {url}/_inbox.json | grep -o '\"code\":\"[0-9]*' | head -n 1 | grep -o '[0-9]*$')\n  "),
        ),
        Messages::Providers(_) => {
            // One command each, of several lines, so that `read` never takes a pasted line for what is typed.
            let own = call("POST", "setup", r#""{\"method\": \"sms\", \"phone_number\": \"$NUMBER\"}""#);
            let ask = |question: &str, name: &str| format!("printf '{question}: '; read -r {name}; \\\n  ");
            let number = ask("Your own number, such as +12015550123", "NUMBER");
            (format!("{number}{own}; echo"), ask("The code in the text message", "CODE"))
        }
    };
    line("Paste these, one after the other: start enrollment, verify the code, see the result.\n".to_owned());
    line(format!("  {enroll}\n"));
    line(format!("  {code}{}; echo\n", call("POST", "verify", r#""{\"code\": \"$CODE\"}""#)));
    line(format!("  {}; echo\n", call("GET", "setup", "")));
    line("Ctrl-C stops it.".to_owned());
    text
}
