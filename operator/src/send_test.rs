//! `doctor send-test`: one message, clearly no code, through the providers in their order.

use std::{io::Write, time::Duration};

use rand::RngExt as _;
use two_factor::{
    app::App,
    domain::{
        PhoneNumber, TextMessage,
        message::delivery::{Attempt, Verdict},
    },
    ports::{Channel, Deadline, SmsSender as _},
};

use crate::{Ending, Failure, output};

/// How long the providers may be asked, all together.
const SENDING: Duration = Duration::from_secs(60);
/// How long the message is of use.
const LIFE: Duration = Duration::from_secs(600);

/// Sends the message and tells what each provider that was asked said.
pub(crate) async fn run(app: &App, to: &str, out: &mut dyn Write) -> Result<Ending, Failure> {
    let told = |reason: String| Failure::Told(reason);
    let to = PhoneNumber::parse(to, &app.allowed_countries).map_err(|error| told(error.to_string()))?;
    let service = &app.service;
    let Channel::Sms(routes) = service.sms.channel() else {
        return Err(told("no SMS provider is configured; `doctor check` says which settings there are".to_owned()));
    };
    writeln!(out, "A test message to {}:\n", to.masked())?;
    let number: u64 = service.random.rng().random();
    let reference = format!("operator-{number:016x}");
    let message = TextMessage { to, body: service.template.test_body(), valid_for: LIFE, reference };
    let order = routes.order(message.to.country(), None);
    let delivery = service.sms.send(&message, &order, Deadline::after(SENDING)).await;
    let rows: Vec<_> = delivery.attempts.iter().map(row).collect();
    output::table(out, ["PROVIDER", "OUTCOME", "CODE OR MESSAGE ID", "TOOK"], &rows)?;
    let (ending, conclusion) = match delivery.verdict() {
        Verdict::Accepted(provider) => (
            Ending::Success,
            format!("{provider} took it. If it does not arrive, look the message id up in {provider}'s console."),
        ),
        Verdict::Unknown(provider) => (
            Ending::Problem,
            format!("{provider} may have taken it: nobody knows, so nobody else was asked. See {provider}'s console."),
        ),
        Verdict::Refused(reason) => {
            let advice = "docs/operations.md says what to do about each outcome.";
            (Ending::Problem, format!("Nobody took it; a client would be told `{}`. {advice}", reason.as_str()))
        }
        Verdict::OutOfTime => (Ending::Problem, "Nobody was asked: there was no time.".to_owned()),
    };
    writeln!(out, "\n{conclusion}")?;
    Ok(ending)
}

fn row(attempt: &Attempt) -> [String; 4] {
    let (outcome, code) = match &attempt.result {
        Ok(id) => ("accepted", id.as_str()),
        Err(failure) => (failure.class.as_str(), failure.code().unwrap_or("-")),
    };
    [attempt.provider.to_string(), outcome.to_owned(), code.to_owned(), format!("{} ms", attempt.duration.as_millis())]
}
