//! Every documented error of every provider: what it is taken for, what may be done next, what the user is told, and whom else it
//! concerns.

use std::collections::BTreeMap;

use aws_sdk_pinpointsmsvoicev2::types::{
    AccessDeniedExceptionReason, ConflictExceptionReason, ServiceQuotaExceededExceptionReason, ValidationExceptionReason,
};
use serde_json::{Value, json as value};
use two_factor::domain::{
    Provider,
    message::delivery::{
        Attempt, Delivery, DeliveryReason,
        NextStep::{self, AssumeSent, Stop, TryNext},
        Scope, Verdict,
    },
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{PATIENCE, Settings, aws_sms, bird, gateway, json, message, messagebird, plivo, sns, twilio, vonage};

/// What an error comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meaning {
    class: &'static str,
    next: NextStep,
    /// The reason that the user is told if nobody else takes the message; nothing where the code may be on its way.
    told: Option<DeliveryReason>,
    scope: Scope,
}

const fn meaning(class: &'static str, next: NextStep, told: Option<DeliveryReason>, scope: Scope) -> Meaning {
    Meaning { class, next, told, scope }
}

const INVALID_NUMBER: Meaning = meaning("invalid_number", TryNext, Some(DeliveryReason::InvalidNumber), Scope::Message);
const NOT_MOBILE: Meaning = meaning("not_mobile", Stop, Some(DeliveryReason::NotMobile), Scope::Message);
const OPTED_OUT: Meaning = meaning("opted_out", Stop, Some(DeliveryReason::OptedOut), Scope::Message);
const FILTERED: Meaning = meaning("content_filtered", Stop, Some(DeliveryReason::Rejected), Scope::Message);
const FRAUD: Meaning = meaning("fraud_blocked", Stop, Some(DeliveryReason::Rejected), Scope::Message);
const OUR_FAULT: Meaning = meaning("invalid_request", Stop, Some(DeliveryReason::Rejected), Scope::Message);
const REJECTED: Meaning = meaning("rejected", TryNext, Some(DeliveryReason::Rejected), Scope::Message);
const THROTTLED: Meaning = meaning("rate_limited", TryNext, Some(DeliveryReason::ProviderUnavailable), Scope::Message);
const UNVERIFIED: Meaning = meaning("recipient_not_verified", TryNext, Some(DeliveryReason::ProviderUnavailable), Scope::Message);
const COUNTRY: Meaning = meaning("country_not_permitted", TryNext, Some(DeliveryReason::CountryNotPermitted), Scope::Country);
const SENDER: Meaning = meaning("sender_misconfigured", TryNext, Some(DeliveryReason::ProviderUnavailable), Scope::Country);
const AUTH: Meaning = meaning("auth_failed", TryNext, Some(DeliveryReason::ProviderUnavailable), Scope::Account);
const BALANCE: Meaning = meaning("insufficient_balance", TryNext, Some(DeliveryReason::ProviderUnavailable), Scope::Account);
const UNKNOWN: Meaning = meaning("unknown_outcome", AssumeSent, None, Scope::Service);

/// One answer of a provider, and what it comes to.
struct Row {
    what: String,
    answer: ResponseTemplate,
    meaning: Meaning,
}

fn row(what: impl Into<String>, answer: ResponseTemplate, meaning: Meaning) -> Row {
    Row { what: what.into(), answer, meaning }
}

#[tokio::test]
async fn every_documented_error_has_its_class_its_next_step_and_what_the_user_is_told_s12() {
    let providers: [(Provider, &str, Settings, Vec<Row>); 7] = [
        (Provider::Twilio, "Twilio", twilio, twilio_rows()),
        (Provider::Sns, "SNS", sns, sns_rows()),
        (Provider::AwsSms, "End User Messaging", aws_sms, aws_sms_rows()),
        (Provider::Vonage, "Vonage", vonage, vonage_rows()),
        (Provider::MessageBird, "MessageBird", messagebird, messagebird_rows()),
        (Provider::MessageBird, "Bird", bird, bird_rows()),
        (Provider::Plivo, "Plivo", plivo, plivo_rows()),
    ];
    let mut wrong = Vec::new();
    for (provider, name, settings, rows) in providers {
        let server = MockServer::start().await;
        let gateway = gateway(settings, &server.uri());
        for Row { what, answer, meaning } in rows {
            server.reset().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let result = gateway.send(&message(), PATIENCE).await;
            let found = result.as_ref().err().map(|failure| (failure.class, failure.code().map(str::to_owned)));
            let attempt = Attempt { provider, result, duration: std::time::Duration::ZERO };
            let told = match (Delivery { attempts: vec![attempt], ..Delivery::default() }).verdict() {
                Verdict::Refused(reason) => Some(reason),
                Verdict::Accepted(_) | Verdict::Unknown(_) | Verdict::OutOfTime => None,
            };
            let meant = found.as_ref().map(|(class, _)| Meaning {
                class: class.as_str(),
                next: class.next_step(),
                told,
                scope: class.scope(),
            });
            if meant != Some(meaning) {
                wrong.push(format!("{name}, {what}: {meant:?}, not {meaning:?}"));
            }
            if found.is_some_and(|(_, code)| code.is_none()) {
                wrong.push(format!("{name}, {what}: there is nothing to look up"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

fn twilio_rows() -> Vec<Row> {
    let by_status: &[(u16, Meaning, &[u32])] = &[
        (400, INVALID_NUMBER, &[21211, 21217, 21265, 21266, 21268, 21401, 21604, 30005, 30014]),
        (400, NOT_MOBILE, &[21614, 21635, 30006]),
        (400, OPTED_OUT, &[21610, 30004]),
        (400, UNVERIFIED, &[21219, 21608, 572_002, 572_005]),
        (400, COUNTRY, &[21408]),
        (400, SENDER, &[10002, 21210, 21212, 21213, 21264, 21267, 21407, 21601, 21603, 21606, 21607, 21616, 21657]),
        (400, SENDER, &[21659, 21660, 21661, 21701, 21702, 21703, 21704, 21705, 21708, 21709, 21710, 21711, 21712, 21713]),
        (400, SENDER, &[21714, 21715, 21717, 21719, 21720, 21729, 21910, 30018, 30024, 30032, 30033, 30034, 30035, 30124, 30127]),
        (401, AUTH, &[20003, 20101, 20102, 20103, 20104, 20105, 20106, 20107, 20151, 20152, 20153, 20154, 20155, 20156, 20157]),
        (403, AUTH, &[20003, 20006, 20008, 20010, 20159, 20160, 20403, 20423, 30037, 30112]),
        (404, AUTH, &[20404]),
        (403, BALANCE, &[10001, 20005, 30002, 90010]),
        (400, THROTTLED, &[14107, 21611, 30001, 30022, 30023, 30027]),
        (429, THROTTLED, &[20429, 63038, 99999]),
        (400, FILTERED, &[21618, 30007, 30019, 30038]),
        (400, FRAUD, &[30450, 30453]),
        (400, OUR_FAULT, &[20001, 20004, 20413, 20422, 20426, 21602, 21605, 21609, 21617, 21620, 21623, 21624, 21626, 21627]),
        (400, OUR_FAULT, &[21652, 21653, 21654, 21655, 21656, 21658, 30010, 30012, 30013, 30015, 30016, 30028, 30029, 30030]),
        (400, OUR_FAULT, &[30031]),
        (400, UNKNOWN, &[21730, 30003, 30008, 30017, 30020, 30021, 30410]),
        (500, UNKNOWN, &[20500, 21211]),
        (503, UNKNOWN, &[20503, 21211]),
        (408, UNKNOWN, &[21211]),
        (400, REJECTED, &[20409, 21612, 99999]),
        (401, AUTH, &[99999]),
    ];
    let refusals = by_status.iter().flat_map(|(status, meaning, codes)| {
        codes.iter().map(move |code| {
            let body =
                value!({"code": code, "message": "...", "more_info": "https://www.twilio.com/docs/errors", "status": status});
            row(format!("{status} with {code}"), json(*status, &body.to_string()), *meaning)
        })
    });
    // Created, and refused all the same.
    let created: &[(&str, Option<u32>, Meaning)] = &[
        ("failed", None, REJECTED),
        ("failed", Some(30007), FILTERED),
        ("failed", Some(30008), REJECTED),
        ("failed", Some(21610), OPTED_OUT),
        ("failed", Some(30034), SENDER),
        ("failed", Some(30002), BALANCE),
        ("failed", Some(99999), REJECTED),
        ("canceled", None, REJECTED),
        ("undelivered", None, REJECTED),
        ("undelivered", Some(30005), INVALID_NUMBER),
        ("undelivered", Some(30006), NOT_MOBILE),
        ("undelivered", Some(99999), REJECTED),
        // Twilio's own "unknown": the phone may get it yet.
        ("undelivered", Some(30003), UNKNOWN),
        ("undelivered", Some(30008), UNKNOWN),
    ];
    let created = created.iter().map(|(status, code, meaning)| {
        let body = value!({"sid": "SM0123456789abcdef0123456789abcdef", "status": status, "error_code": code});
        row(format!("201, {status} with {code:?}"), json(201, &body.to_string()), *meaning)
    });
    refusals.chain(created).collect()
}

fn sns_rows() -> Vec<Row> {
    let not_valid = "Invalid parameter: PhoneNumber Reason: +14155552345 is not valid to publish to";
    let sender = "Invalid parameter: MessageAttributes Reason: AWS.SNS.SMS.SenderID is not valid";
    let rows: &[(u16, &str, &str, Meaning)] = &[
        (400, "InvalidParameter", not_valid, INVALID_NUMBER),
        (400, "ParameterValueInvalid", not_valid, INVALID_NUMBER),
        (400, "InvalidParameter", sender, SENDER),
        (400, "InvalidParameter", "Invalid parameter: SenderID Reason: not allowed for this PhoneNumber", SENDER),
        (400, "InvalidParameter", "Invalid parameter: Sender ID is not registered", SENDER),
        (400, "InvalidParameter", "Invalid parameter: AWS.MM.SMS.OriginationNumber Reason: not a phone number of yours", SENDER),
        (400, "InvalidParameter", "Invalid parameter: AWS.SNS.SMS.MaxPrice", SENDER),
        (400, "ParameterValueInvalid", sender, SENDER),
        (400, "ValidationException", sender, SENDER),
        (400, "InvalidParameter", "Invalid parameter: Message too long", OUR_FAULT),
        (400, "ParameterValueInvalid", "...", OUR_FAULT),
        (400, "ValidationException", "...", OUR_FAULT),
        (400, "UserError", "...", OUR_FAULT),
        (404, "NotFound", "...", OUR_FAULT),
        (404, "ResourceNotFound", "...", OUR_FAULT),
        (400, "OptedOut", "...", OPTED_OUT),
        (403, "AuthorizationError", "...", AUTH),
        (403, "InvalidSecurity", "...", AUTH),
        (403, "KMSOptInRequired", "...", SENDER),
        (400, "KMSAccessDenied", "...", SENDER),
        (400, "KMSDisabled", "...", SENDER),
        (400, "KMSInvalidState", "...", SENDER),
        (400, "KMSNotFound", "...", SENDER),
        (400, "KMSThrottling", "...", THROTTLED),
        (400, "EndpointDisabled", "...", REJECTED),
        (400, "PlatformApplicationDisabled", "...", REJECTED),
        (400, "SomethingNew", "...", REJECTED),
        (400, "Throttled", "...", THROTTLED),
        (429, "Throttled", "...", THROTTLED),
        (500, "InternalError", "...", UNKNOWN),
        (500, "InvalidParameter", not_valid, UNKNOWN),
        (503, "Throttling", "...", UNKNOWN),
        (408, "InvalidParameter", not_valid, UNKNOWN),
    ];
    let rows = rows.iter().copied().chain(common_aws().map(|(status, code, meaning)| (status, code, "...", meaning)));
    rows.map(|(status, code, text, meaning)| {
        let body = format!(
            r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>{code}</Code>
            <Message>{text}</Message></Error><RequestId>9cd01905</RequestId></ErrorResponse>"#
        );
        row(format!("{status}, {code}: {text}"), ResponseTemplate::new(status).set_body_raw(body, "text/xml"), meaning)
    })
    .collect()
}

/// The errors that every AWS service has (IAM User Guide and AWS General Reference, common errors).
fn common_aws() -> impl Iterator<Item = (u16, &'static str, Meaning)> {
    let rows: [(u16, Meaning, &[&str]); 8] = [
        (
            403,
            AUTH,
            &[
                "AccessDenied",
                "AccessDeniedException",
                "ExpiredToken",
                "ExpiredTokenException",
                "InvalidClientTokenId",
                "InvalidSignatureException",
                "MissingAuthenticationToken",
                "OptInRequired",
                "RequestExpired",
                "RequestTimeTooSkewed",
                "SignatureDoesNotMatch",
                "UnrecognizedClientException",
            ],
        ),
        (400, AUTH, &["IncompleteSignature", "NotAuthorized"]),
        (400, THROTTLED, &["RequestLimitExceeded", "Throttling", "ThrottlingException"]),
        (429, THROTTLED, &["TooManyRequestsException"]),
        // The request may have been on its way to where messages are sent when it was given up.
        (400, UNKNOWN, &["RequestAborted", "RequestAbortedException", "RequestTimeout", "RequestTimeoutException"]),
        (408, UNKNOWN, &["RequestTimeoutException", "AccessDenied"]),
        (500, UNKNOWN, &["InternalFailure"]),
        (503, UNKNOWN, &["ServiceUnavailable"]),
    ];
    rows.into_iter().flat_map(|(status, meaning, codes)| codes.iter().map(move |code| (status, *code, meaning)))
}

fn aws_sms_rows() -> Vec<Row> {
    let mut rows = reasons_of_end_user_messaging();
    rows.extend(fields_of_end_user_messaging());
    for (status, name, reason, meaning) in [
        (500, "InternalServerException", "", UNKNOWN),
        (500, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", UNKNOWN),
        (408, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", UNKNOWN),
    ] {
        rows.push(row(format!("{status}, {name}"), exception(status, name, reason, &[], "..."), meaning));
    }
    let nameless =
        [("ResourceNotFoundException", SENDER), ("ThrottlingException", THROTTLED), ("SomethingNewException", REJECTED)];
    let nameless = nameless.into_iter().map(|(code, meaning)| (400, code, meaning)).chain(common_aws());
    rows.extend(nameless.map(|(status, code, meaning)| {
        let answer = ResponseTemplate::new(status).set_body_raw(r#"{"Message":"..."}"#, "application/x-amz-json-1.0");
        row(format!("{status}, {code}"), answer.insert_header("x-amzn-errortype", code), meaning)
    }));
    rows
}

fn exception(status: u16, name: &str, reason: &str, fields: &[&str], text: &str) -> ResponseTemplate {
    let fields: Vec<Value> = fields.iter().map(|name| value!({"Name": name, "Message": "..."})).collect();
    let body = value!({
        "__type": format!("com.amazonaws.pinpointsmsvoicev2#{name}"), "Message": text, "Reason": reason, "Fields": fields,
    });
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.0")
}

/// Every reason that the service's model has; those that are not named here belong to other operations.
fn reasons_of_end_user_messaging() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut of = |name: &str, reasons: &[&str], named: &[(&str, Meaning)], other: Meaning| {
        let named: BTreeMap<_, _> = named.iter().copied().collect();
        assert!(named.keys().all(|reason| reasons.contains(reason)), "{name} has other reasons: {reasons:?}");
        for reason in reasons.iter().copied().chain(["SOMETHING_NEW"]) {
            let meaning = named.get(reason).copied().unwrap_or(other);
            rows.push(row(format!("{name}, {reason}"), exception(400, name, reason, &[], "..."), meaning));
        }
    };
    of("AccessDeniedException", AccessDeniedExceptionReason::values(), &[], AUTH);
    of(
        "ServiceQuotaExceededException",
        ServiceQuotaExceededExceptionReason::values(),
        &[
            ("MONTHLY_SPEND_LIMIT_REACHED_FOR_MEDIA", BALANCE),
            ("MONTHLY_SPEND_LIMIT_REACHED_FOR_NOTIFY", BALANCE),
            ("MONTHLY_SPEND_LIMIT_REACHED_FOR_RCS", BALANCE),
            ("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", BALANCE),
            ("MONTHLY_SPEND_LIMIT_REACHED_FOR_VOICE", BALANCE),
        ],
        THROTTLED,
    );
    of(
        "ConflictException",
        ConflictExceptionReason::values(),
        &[
            ("DESTINATION_PHONE_NUMBER_OPTED_OUT", OPTED_OUT),
            ("DESTINATION_PHONE_NUMBER_NOT_VERIFIED", UNVERIFIED),
            ("DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", COUNTRY),
            ("DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE", FRAUD),
            ("KEYWORD_MISMATCH", SENDER),
            ("MESSAGE_TYPE_MISMATCH", SENDER),
            ("NO_ORIGINATION_IDENTITIES_FOUND", SENDER),
            ("NUMBER_CAPABILITIES_MISMATCH", SENDER),
            ("OPT_OUT_LIST_MISMATCH", SENDER),
            ("PHONE_NUMBER_NOT_ASSOCIATED_TO_POOL", SENDER),
            ("PHONE_NUMBER_NOT_IN_REGISTRATION_REGION", SENDER),
            ("PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET", SENDER),
            ("REGISTRATION_NOT_COMPLETE", SENDER),
            ("RESOURCE_NOT_ACTIVE", SENDER),
            ("SELF_MANAGED_OPT_OUTS_MISMATCH", SENDER),
        ],
        REJECTED,
    );
    of(
        "ValidationException",
        ValidationExceptionReason::values(),
        &[
            ("CHANNEL_NOT_ENABLED", SENDER),
            ("COUNTRY_CODE_MISMATCH", SENDER),
            ("INVALID_ARN", SENDER),
            ("INVALID_IDENTITY_FOR_DESTINATION_COUNTRY", SENDER),
            ("RESOURCE_NOT_ACCESSIBLE", SENDER),
            ("SENDER_ID_NOT_REGISTERED", SENDER),
            ("SENDER_ID_NOT_SUPPORTED", SENDER),
            ("SENDER_ID_REQUIRES_REGISTRATION", SENDER),
            ("COUNTRY_NOT_ENABLED", COUNTRY),
            ("DESTINATION_COUNTRY_BLOCKED", COUNTRY),
            ("INTERNATIONAL_SENDING_NOT_SUPPORTED", COUNTRY),
            ("PRICE_OVER_THRESHOLD", COUNTRY),
        ],
        OUR_FAULT,
    );
    rows
}

/// Validations that are told apart by the field that they are about.
fn fields_of_end_user_messaging() -> [Row; 13] {
    let rows = [
        ("CANNOT_PARSE", &["DestinationPhoneNumber"][..], "...", INVALID_NUMBER),
        ("INVALID_PARAMETER", &["destinationPhoneNumber"], "...", INVALID_NUMBER),
        ("FIELD_VALIDATION_FAILED", &["DestinationPhoneNumber"], "...", INVALID_NUMBER),
        ("FIELD_VALIDATION_FAILED", &["OriginationIdentity"], "...", SENDER),
        ("FIELD_VALIDATION_FAILED", &["DestinationPhoneNumber", "OriginationIdentity"], "...", SENDER),
        ("INVALID_PARAMETER", &["ConfigurationSetName"], "...", SENDER),
        ("INVALID_PARAMETER", &["MaxPrice"], "...", SENDER),
        ("MISSING_PARAMETER", &["OriginationIdentity"], "...", SENDER),
        ("MISSING_PARAMETER", &["DestinationCountryParameters"], "...", SENDER),
        ("MISSING_PARAMETER", &["DestinationCountryParameters.IN_ENTITY_ID"], "...", SENDER),
        ("MISSING_PARAMETER", &[], "DestinationCountryParameters is required for this country", SENDER),
        ("FIELD_VALIDATION_FAILED", &["MessageBody"], "...", OUR_FAULT),
        ("RESOURCE_NOT_ACCESSIBLE", &["DestinationPhoneNumber"], "...", SENDER),
    ];
    rows.map(|(reason, fields, text, meaning)| {
        let what = format!("ValidationException, {reason}, {fields:?}: {text}");
        row(what, exception(400, "ValidationException", reason, fields, text), meaning)
    })
}

fn vonage_rows() -> Vec<Row> {
    let rows: &[(&str, &str, Meaning)] = &[
        ("1", "Throughput Rate Exceeded - please wait [ 1000 ] and retry", THROTTLED),
        ("2", "Missing from param", SENDER),
        ("2", "Missing to param", OUR_FAULT),
        ("3", "Invalid value for parameter: to", INVALID_NUMBER),
        ("3", "to address is not numeric", INVALID_NUMBER),
        ("3", "Invalid value for parameter: from", SENDER),
        ("3", "Invalid from param, not a sender to send with", SENDER),
        ("3", "Unable to parse ttl", OUR_FAULT),
        ("3", "Invalid value for parameter: ttl", OUR_FAULT),
        ("4", "Bad Credentials", AUTH),
        ("5", "Internal Error", UNKNOWN),
        ("6", "Unroutable message - rejected", INVALID_NUMBER),
        ("7", "Number barred", OPTED_OUT),
        ("8", "Partner account barred", AUTH),
        ("9", "Quota Exceeded - rejected", BALANCE),
        ("10", "Too many existing binds", THROTTLED),
        ("11", "Account not enabled for HTTP", AUTH),
        ("12", "Message too long", OUR_FAULT),
        ("14", "Invalid Signature", AUTH),
        ("15", "Illegal Sender Address - rejected", SENDER),
        ("22", "Invalid network code", OUR_FAULT),
        ("23", "Invalid callback URL", OUR_FAULT),
        ("29", "Non White-listed Destination - rejected", UNVERIFIED),
        ("32", "Signature And API Secret Disallowed", AUTH),
        ("33", "Number De-activated", INVALID_NUMBER),
        ("77", "Something new", REJECTED),
    ];
    let by_status = rows.iter().map(|(status, text, meaning)| {
        let body = value!({"message-count": "1", "messages": [{"status": status, "error-text": text}]});
        row(format!("{status}: {text}"), json(200, &body.to_string()), *meaning)
    });
    let edge = [(401, AUTH), (408, UNKNOWN), (429, THROTTLED), (500, UNKNOWN)];
    by_status.chain(edge.map(|(status, meaning)| row(format!("HTTP {status}"), ResponseTemplate::new(status), meaning))).collect()
}

fn messagebird_rows() -> Vec<Row> {
    let rows: &[(u16, u32, &str, Option<&str>, Meaning)] = &[
        (401, 2, "Request not allowed (incorrect access_key)", Some("access_key"), AUTH),
        (422, 9, "no (correct) recipients found", Some("recipients"), INVALID_NUMBER),
        (422, 9, "no (correct) recipients found", None, INVALID_NUMBER),
        (422, 9, "originator is required", Some("originator"), SENDER),
        (422, 9, "body is required", Some("body"), OUR_FAULT),
        (422, 10, "recipient is invalid", Some("recipient"), INVALID_NUMBER),
        (422, 10, "originator is invalid", Some("originator"), SENDER),
        (422, 10, "validity is invalid", Some("validity"), OUR_FAULT),
        (404, 20, "not found", None, OUR_FAULT),
        (400, 21, "Bad request", None, OUR_FAULT),
        (400, 25, "Not enough balance", None, BALANCE),
        (422, 25, "Not enough balance", None, BALANCE),
        (404, 98, "API not found", None, REJECTED),
        (400, 99, "Internal error", None, UNKNOWN),
        (500, 99, "Internal error", None, UNKNOWN),
        (503, 9, "no (correct) recipients found", Some("recipients"), UNKNOWN),
        (408, 9, "no (correct) recipients found", Some("recipients"), UNKNOWN),
        (429, 77, "Too many requests", None, THROTTLED),
        (422, 77, "Something new", None, REJECTED),
        (401, 77, "Something new", None, AUTH),
        (201, 9, "no (correct) recipients found", Some("recipients"), INVALID_NUMBER),
    ];
    let errors = rows.iter().map(|(status, code, text, parameter, meaning)| {
        let body = value!({"errors": [{"code": code, "description": text, "parameter": parameter}]});
        row(format!("{status}, {code}: {text}"), json(*status, &body.to_string()), *meaning)
    });
    let several = value!({"errors": [
        {"code": 10, "description": "recipient is invalid", "parameter": "recipient"},
        {"code": 10, "description": "originator is invalid", "parameter": "originator"},
    ]});
    let several = row("the sender after the recipient", json(422, &several.to_string()), SENDER);
    // Created, and refused all the same.
    let items: &[(&str, Option<u32>, &str, Meaning)] = &[
        ("delivery_failed", None, "", REJECTED),
        ("delivery_failed", Some(1), "unknown subscriber", INVALID_NUMBER),
        ("delivery_failed", Some(9), "illegal subscriber", NOT_MOBILE),
        ("delivery_failed", Some(11), "teleservice not provisioned", NOT_MOBILE),
        ("delivery_failed", Some(13), "call barred", OPTED_OUT),
        ("delivery_failed", Some(34), "system failure", REJECTED),
        ("delivery_failed", Some(103), "opted out", OPTED_OUT),
        ("expired", None, "", REJECTED),
    ];
    let items = items.iter().map(|(status, code, reason, meaning)| {
        let item = value!({"recipient": 14_155_552_345_u64, "status": status, "statusErrorCode": code, "statusReason": reason});
        let body = value!({
            "id": "f28bbe526fc14974b3e7e663a6139b53", "recipients": {"totalCount": 1, "totalSentCount": 0, "items": [item]},
        });
        row(format!("201, {status} with {code:?}"), json(201, &body.to_string()), *meaning)
    });
    errors.chain([several]).chain(items).collect()
}

fn bird_rows() -> Vec<Row> {
    let rows: &[(u16, &str, Option<&str>, Meaning)] = &[
        (401, "Unauthenticated", None, AUTH),
        (403, "PermissionDenied", None, AUTH),
        (402, "PaymentRequired", None, BALANCE),
        (422, "insufficient_balance", None, BALANCE),
        (422, "SMSInvalidRecipient", Some("to"), INVALID_NUMBER),
        (422, "invalid_destination", None, INVALID_NUMBER),
        (422, "ValidationFailed", Some("to"), INVALID_NUMBER),
        (422, "ValidationFailed", Some("from"), SENDER),
        (422, "ValidationFailed", Some("text"), OUR_FAULT),
        (422, "landline_unreachable", None, NOT_MOBILE),
        (422, "recipient_opted_out", None, OPTED_OUT),
        (422, "blocked_by_recipient", None, OPTED_OUT),
        (422, "blocked_by_carrier", None, FILTERED),
        (422, "content_rejected", None, FILTERED),
        (403, "blocked_by_fraud_protection", None, FRAUD),
        (422, "SMSSenderNotConfigured", Some("from"), SENDER),
        (422, "SMSNoEligibleSender", Some("from"), SENDER),
        (422, "SenderCategoryNotPermitted", Some("from"), SENDER),
        (422, "sender_unregistered", None, SENDER),
        (422, "provider_unavailable", None, THROTTLED),
        (422, "SMSUnsupportedFeature", Some("validity_period"), OUR_FAULT),
        (400, "BadRequest", None, OUR_FAULT),
        (413, "PayloadTooLarge", None, OUR_FAULT),
        (429, "RateLimited", None, THROTTLED),
        (409, "idempotency_key_in_use", None, UNKNOWN),
        (409, "idempotency_key_conflict", None, UNKNOWN),
        (408, "SMSInvalidRecipient", Some("to"), UNKNOWN),
        (500, "InternalError", None, UNKNOWN),
        (501, "NotImplemented", None, UNKNOWN),
        (503, "ServiceUnavailable", None, UNKNOWN),
        (404, "NotFound", None, REJECTED),
        (412, "PreconditionFailed", None, REJECTED),
    ];
    let errors = rows.iter().flat_map(|(status, name, param, meaning)| {
        let error = value!({"type": "x", "code": "E01234", "name": name, "message": "...", "param": param, "request_id": "r"});
        [("wrapped", value!({"error": error})), ("flat", error)]
            .map(|(form, body)| row(format!("{status}, {name}, {form}"), json(*status, &body.to_string()), *meaning))
    });
    let details = value!({"error": {"type": "validation_error", "code": "E01234", "name": "ValidationFailed", "message": "...",
        "details": [{"param": "to", "message": "..."}, {"param": "from", "message": "..."}]}});
    let details = row("422 with details", json(422, &details.to_string()), SENDER);
    // Accepted as a message, and refused all the same.
    let messages: &[(&str, Option<&str>, Meaning)] = &[
        ("rejected", None, REJECTED),
        ("rejected", Some("invalid_destination"), INVALID_NUMBER),
        ("rejected", Some("landline_unreachable"), NOT_MOBILE),
        ("rejected", Some("recipient_opted_out"), OPTED_OUT),
        ("rejected", Some("blocked_by_recipient"), OPTED_OUT),
        ("rejected", Some("content_rejected"), FILTERED),
        ("rejected", Some("blocked_by_carrier"), FILTERED),
        ("rejected", Some("blocked_by_fraud_protection"), FRAUD),
        ("rejected", Some("sender_unregistered"), SENDER),
        ("rejected", Some("insufficient_balance"), BALANCE),
        ("rejected", Some("provider_unavailable"), THROTTLED),
        ("rejected", Some("unreachable"), REJECTED),
        ("rejected", Some("unknown"), REJECTED),
        ("rejected", Some("something_new"), REJECTED),
        ("failed", Some("invalid_destination"), INVALID_NUMBER),
        ("failed", None, REJECTED),
        ("canceled", None, REJECTED),
        ("expired", None, REJECTED),
        ("undelivered", Some("landline_unreachable"), NOT_MOBILE),
        ("undelivered", None, REJECTED),
        // Bird's own "unknown": the phone may get it yet.
        ("undelivered", Some("unreachable"), UNKNOWN),
        ("undelivered", Some("unknown"), UNKNOWN),
    ];
    let messages = messages.iter().map(|(status, code, meaning)| {
        let error = code.map(|code| value!({"code": code, "description": "...", "occurred_at": "2027-01-01T00:00:00Z"}));
        let body = value!({"id": "sms_01hzy", "status": status, "text": "**REDACTED**", "last_error": error});
        row(format!("202, {status} with {code:?}"), json(202, &body.to_string()), *meaning)
    });
    errors.chain([details]).chain(messages).collect()
}

fn plivo_rows() -> Vec<Row> {
    let rows: &[(u16, Value, Meaning)] = &[
        (400, value!("dst is invalid"), INVALID_NUMBER),
        (400, value!("Invalid destination number"), INVALID_NUMBER),
        (400, value!({"dst": ["This field is required"]}), INVALID_NUMBER),
        (400, value!("src parameter not present"), SENDER),
        (400, value!("This caller ID is not allowed for outbound message"), SENDER),
        (400, value!("The source number is not allowed for this destination"), SENDER),
        (400, value!({"src": ["not a sender for this dst"]}), SENDER),
        (400, value!("powerpack_uuid is invalid"), SENDER),
        (400, value!("Insufficient Credit"), BALANCE),
        (400, value!("text parameter not present"), OUR_FAULT),
        (401, value!("authentication failed"), AUTH),
        (402, value!("payment required"), BALANCE),
        (403, value!("geo permission denied"), COUNTRY),
        (404, value!("not found"), OUR_FAULT),
        (405, value!("method not allowed"), OUR_FAULT),
        (408, value!("dst is invalid"), UNKNOWN),
        (429, value!("rate limit exceeded"), THROTTLED),
        (500, value!("server error"), UNKNOWN),
        (503, value!("Insufficient Credit"), UNKNOWN),
        (202, value!("dst is invalid"), INVALID_NUMBER),
    ];
    let rows = rows.iter().map(|(status, error, meaning)| {
        row(format!("{status}: {error}"), json(*status, &value!({"api_id": "x", "error": error}).to_string()), *meaning)
    });
    rows.collect()
}
