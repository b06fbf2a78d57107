//! `/api/v1/auth/2fa/…`: the net under the gateway's exact routes, which routes by path to the handlers of the other functions.

use two_factor::{
    api::{
        problem::Problem,
        request::{Request, SEND_SMS, SETUP, VERIFY},
        response::{self, Response},
    },
    app::App,
};

/// Answers one request as the function does whose path it is, or with 404 if it is nobody's.
///
/// OPTIONS is answered here, with the methods of the path: a gateway that lets web pages call hands their preflight requests to a
/// route for all methods, adds the CORS headers to the answer, and a browser goes on only after a success.
pub async fn handle(app: &App, request: Request) -> Response {
    let result = match Function::of(&request) {
        None => Err(Problem::NotFound),
        Some(function) if request.method.as_str() == "OPTIONS" => Ok(response::methods(&function.methods(), request.id())),
        Some(Function::Setup) => return setup::handle(app, request).await,
        Some(Function::SendSms) => return send_sms::handle(app, request).await,
        Some(Function::Verify) => return verify::handle(app, request).await,
    };
    app.exchange("any", &request).end(result)
}

/// A function that has a path of its own.
#[derive(Clone, Copy)]
enum Function {
    Setup,
    SendSms,
    Verify,
}

impl Function {
    /// The function whose path it is, whatever the method; `None` if it is nobody's.
    fn of(request: &Request) -> Option<Self> {
        let is_meant = |refusal: Option<Problem>| !matches!(refusal, Some(Problem::NotFound));
        if is_meant(SETUP.action(request).err()) {
            Some(Self::Setup)
        } else if is_meant(SEND_SMS.action(request).err()) {
            Some(Self::SendSms)
        } else if is_meant(VERIFY.action(request).err()) {
            Some(Self::Verify)
        } else {
            None
        }
    }

    /// What an `Allow` header says of its path.
    fn methods(self) -> String {
        let methods: Vec<_> = match self {
            Self::Setup => SETUP.methods().collect(),
            Self::SendSms => SEND_SMS.methods().collect(),
            Self::Verify => VERIFY.methods().collect(),
        };
        methods.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
