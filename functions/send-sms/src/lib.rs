//! `/api/v1/auth/2fa/send-sms/`: send a code again, or one to sign in with.

use two_factor::{
    api::{body::SendBody, problem::Problem, request::Request, response::Response, route::SEND_SMS},
    app::{App, Exchange},
};

/// Answers one request.
pub async fn handle(app: &App, request: Request) -> Response {
    let mut exchange = app.exchange("send-sms", &request);
    let result = answer(&mut exchange).await;
    exchange.end(result)
}

async fn answer(exchange: &mut Exchange<'_>) -> Result<Response, Problem> {
    let () = SEND_SMS.action(exchange.request)?;
    let caller = exchange.authenticate().await?;
    let body = SendBody::parse(exchange.request)?;
    let granted = exchange.session(&caller).send_sms(body.purpose).await;
    exchange.answer(granted)
}
