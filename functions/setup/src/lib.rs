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
        SetupAction::Start => {
            let body = SetupBody::parse(exchange.request)?;
            let phone = exchange.phone_number(&body.phone_number)?;
            let (service, stats) = exchange.service();
            let granted = service.setup(&caller, phone, body.code, stats).await;
            exchange.answer(granted)
        }
        SetupAction::Status => {
            let (service, stats) = exchange.service();
            let account = service.status(&caller, stats).await.map_err(|failure| exchange.problem(failure))?;
            Ok(response::status(&account, exchange.request.id()))
        }
        SetupAction::Disable => {
            let body = DisableBody::parse(exchange.request)?;
            let (service, stats) = exchange.service();
            let granted = service.disable(&caller, body.code, stats).await;
            exchange.answer(granted)
        }
    }
}
