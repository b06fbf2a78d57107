//! Runs a function on Lambda.

use std::process::ExitCode;

use tokio::sync::OnceCell;

use super::App;
use crate::{
    adapters::system::SystemClock,
    api::{gateway_event, problem::Problem, request::Request, response::Response},
    config::Vars,
    domain::PhoneNumber,
    observability::log,
};

/// Loads the data that phone numbers are judged by, for the function that parses them: in the init phase, where CPU is cheap,
/// rather than while the first number waits.
pub fn prepare_phone_numbers() {
    PhoneNumber::warm_up();
}

/// Runs one function on Lambda until its environment ends: starts the service in the init phase and answers invocations with
/// `handle`. Wrong settings end the process, with a line for each that names it. A secret that cannot be read does not: invocations
/// are answered with 503 until it can be (S21).
pub async fn run(handle: impl AsyncFn(&App, Request) -> Response) -> ExitCode {
    let vars = Vars::from_process();
    // A wrong level is reported by the start, with every other setting that is wrong.
    let _ = log::start(&vars, log::Format::Json);
    let app = OnceCell::new();
    let start = || Box::pin(App::start(vars.clone()));
    if let Err(error) = app.get_or_try_init(start).await
        && !error.is_temporary()
    {
        for line in error.to_string().lines() {
            tracing::error!("{line}");
        }
        return ExitCode::FAILURE;
    }
    let answer = async |request: Request| match app.get_or_try_init(start).await {
        // Boxed, so that what a request needs is not part of the future that the process starts with.
        Ok(app) => Box::pin(handle(app, request)).await,
        Err(error) => {
            tracing::error!(request_id = request.id(), "{error}");
            Problem::Unavailable.into_response(request.id())
        }
    };
    match gateway_event::run(&SystemClock, answer).await {
        Ok(()) => ExitCode::SUCCESS,
        // SAM ends its emulator after each invocation, or with `start-api`, and the emulator takes the runtime API along. Lambda
        // never does that: it freezes the process and kills it.
        Err(error) if vars.get("AWS_SAM_LOCAL") == Some("true") => {
            tracing::info!(%error, "the emulator has ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "the runtime API cannot be reached");
            ExitCode::FAILURE
        }
    }
}
