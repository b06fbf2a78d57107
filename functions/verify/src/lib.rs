//! `/api/v1/auth/2fa/verify/`: check a code, turn 2FA on, hand out backup codes.

use two_factor::{
    api::{body::VerifyBody, problem::Problem, request::Request, response::Response, route::VERIFY},
    app::{App, Exchange},
};

/// Answers one request.
pub async fn handle(app: &App, request: Request) -> Response {
    let mut exchange = app.exchange("verify", &request);
    let result = answer(&mut exchange).await;
    exchange.end(result)
}

async fn answer(exchange: &mut Exchange<'_>) -> Result<Response, Problem> {
    let () = VERIFY.action(exchange.request)?;
    let caller = exchange.authenticate().await?;
    let body = VerifyBody::parse(exchange.request)?;
    let granted = exchange.session(&caller).verify(body.code, body.purpose, body.regenerate_backup_codes).await;
    exchange.answer_with_assertion(granted, &caller, body.nonce)
}
