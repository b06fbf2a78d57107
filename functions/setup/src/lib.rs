//! `/api/v1/auth/2fa/setup/`: enroll a number, show where the user stands, turn 2FA off.

use two_factor::{
    api::{
        body::{DisableBody, SetupBody},
        problem::Problem,
        request::Request,
        response::{self, Response},
        route::{SETUP, SetupAction},
    },
    app::{App, Exchange},
};

/// Answers one request.
pub async fn handle(app: &App, request: Request) -> Response {
    let mut exchange = app.exchange("setup", &request);
    let result = answer(&mut exchange).await;
    exchange.end(result)
}

async fn answer(exchange: &mut Exchange<'_>) -> Result<Response, Problem> {
    let action = SETUP.action(exchange.request)?;
    let caller = exchange.authenticate().await?;
    match action {
        SetupAction::Start => match SetupBody::parse(exchange.request)? {
            SetupBody::Sms { phone_number, code } => {
                let phone = exchange.phone_number(&phone_number, &caller)?;
                let granted = exchange.session(&caller).setup(phone, code).await;
                exchange.answer(granted)
            }
            SetupBody::None(body) => {
                let granted = exchange.session(&caller).disable(body.code).await;
                exchange.answer(granted)
            }
        },
        SetupAction::Status => {
            let status = exchange.session(&caller).status().await.map_err(|failure| exchange.problem(failure))?;
            Ok(response::status(&status, exchange.request.id()))
        }
        SetupAction::Disable => {
            let body = DisableBody::parse(exchange.request)?;
            let granted = exchange.session(&caller).disable(body.code).await;
            exchange.answer(granted)
        }
    }
}
