//! `doctor send-test`: one message, clearly no code, through the providers in their order.

use std::io::Write;

use two_factor::{
    app::App,
    domain::message::delivery::{Attempt, Verdict},
    use_cases::{self, Caller, RequestStats},
};

use crate::{Ending, Failure, deadline, output};

/// Sends the message and tells what each provider that was asked said. The audit trail of `caller`, the operators' own, has it.
pub(crate) async fn run(app: &App, caller: &Caller, to: &str, out: &mut dyn Write) -> Result<Ending, Failure> {
    let told = |reason: String| Failure::Told(reason);
    let to = app.service.phone_number(to, &caller.user).map_err(|error| told(error.to_string()))?;
    let masked = to.masked();
    let mut stats = RequestStats::default();
    let delivery = app.service.session(caller, deadline(), &mut stats).send_test_message(to).await;
    let delivery = delivery.map_err(|failure| match failure {
        use_cases::Failure::SmsNotConfigured => {
            told("no SMS provider is configured; `doctor check` says which settings there are".to_owned())
        }
        _ => told("no message can be sent now; `doctor check` says why".to_owned()),
    })?;
    writeln!(out, "A test message to {masked}:\n")?;
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
        Verdict::OutOfTime => (Ending::Problem, "Nobody was asked: there was no time left.".to_owned()),
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
