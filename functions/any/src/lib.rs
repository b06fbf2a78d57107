//! `/api/v1/auth/2fa/…`: the net under the gateway's exact routes, which routes by path to the handlers of the other functions.

use two_factor::{
    api::{
        request::Request,
        response::{self, Response},
        route::{PublicDocument, Route},
    },
    app::App,
};

/// Answers one request as the function `any`: as [`route`] does, but for OPTIONS, which gets the methods of the path. A gateway that
/// lets web pages call hands their preflight requests to a route for all methods, adds the CORS headers to the answer, and a browser
/// goes on only after a success.
pub async fn handle(app: &App, request: Request) -> Response {
    match Route::of(&request) {
        Some(route) if request.method.as_str() == "OPTIONS" => {
            let methods = response::methods(&route.allow(), request.id());
            app.exchange("any", &request).end(Ok(methods))
        }
        _ => route(app, request).await,
    }
}

/// Answers one request as the function of its path does; a path without a function is one of the
/// documents that everybody may read, or gets 404. This is the router of every host that has
/// one door for all paths.
pub async fn route(app: &App, request: Request) -> Response {
    match Route::of(&request) {
        Some(Route::Setup) => setup::handle(app, request).await,
        Some(Route::SendSms) => send_sms::handle(app, request).await,
        Some(Route::Verify) => verify::handle(app, request).await,
        None => {
            let exchange = app.exchange("any", &request);
            let result = PublicDocument::of(&request).and_then(|document| exchange.public_document(document));
            exchange.end(result)
        }
    }
}
