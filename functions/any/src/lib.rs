//! `/api/v1/auth/2fa/…`: the net under the gateway's exact routes, which routes by path to the handlers of the other functions.

use two_factor::{
    api::{
        problem::Problem,
        request::Request,
        response::{self, Response},
        route::Route,
    },
    app::App,
};

/// Answers one request as the function does whose path it is, or with 404 if it is nobody's.
///
/// OPTIONS is answered here, with the methods of the path: a gateway that lets web pages call hands their preflight requests to a
/// route for all methods, adds the CORS headers to the answer, and a browser goes on only after a success.
pub async fn handle(app: &App, request: Request) -> Response {
    let result = match Route::of(&request) {
        None => Err(Problem::NotFound),
        Some(route) if request.method.as_str() == "OPTIONS" => Ok(response::methods(&route.allow(), request.id())),
        Some(Route::Setup) => return setup::handle(app, request).await,
        Some(Route::SendSms) => return send_sms::handle(app, request).await,
        Some(Route::Verify) => return verify::handle(app, request).await,
    };
    app.exchange("any", &request).end(result)
}
