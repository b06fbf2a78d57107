"""What a person reads for each refusal, and what there is to do: by `code` and `reason`, never by `detail`."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What the page offers beside the field."""

    TRY_AGAIN = "try_again"
    SEND_AGAIN = "send_again"
    BACKUP_CODE = "backup_code"
    OTHER_NUMBER = "other_number"
    WAIT = "wait"
    BEGIN_AGAIN = "begin_again"


@dataclass(frozen=True)
class Explanation:
    sentence: str
    action: Action


DOWN = ("Something is down. Try again in a moment.", Action.WAIT)
OURS = ("Something went wrong. We have been told.", Action.BEGIN_AGAIN)
NO_SMS = ("This line gets no text messages. Use a mobile number.", Action.OTHER_NUMBER)
COUNTRY = ("We cannot send to this country.", Action.OTHER_NUMBER)

# `{wait}` is the time to wait, as a person says it.
TABLE = {
    ("invalid_code", None): ("That code is not right.", Action.TRY_AGAIN),
    ("code_expired", None): ("That code is too old.", Action.SEND_AGAIN),
    ("code_superseded", None): ("We sent a newer code. Please use that one.", Action.TRY_AGAIN),
    ("wrong_purpose", None): ("That code is for something else.", Action.SEND_AGAIN),
    ("too_many_attempts", None): ("Too many wrong codes. We need to send another.", Action.SEND_AGAIN),
    ("locked", None): ("Too many wrong codes. Try again {wait}, or use a backup code.", Action.BACKUP_CODE),
    ("factor_disabled", None): (
        "This number is disabled. Use a backup code, and set the number up again.",
        Action.BACKUP_CODE,
    ),
    ("no_pending_verification", None): ("There is no code to confirm.", Action.SEND_AGAIN),
    ("verification_required", None): ("Please confirm with a code.", Action.SEND_AGAIN),
    ("already_enabled", None): ("That is your number already.", Action.OTHER_NUMBER),
    ("not_enabled", None): ("Two-factor authentication is off.", Action.BEGIN_AGAIN),
    ("invalid_phone_number", "format"): ("Write the number with + and the country code.", Action.OTHER_NUMBER),
    ("invalid_phone_number", "no_such_number"): ("There is no such number.", Action.OTHER_NUMBER),
    ("phone_number_not_allowed", "country"): COUNTRY,
    ("phone_number_not_allowed", "line_type"): NO_SMS,
    ("rate_limited", "cooldown"): ("You can ask for another code {wait}.", Action.WAIT),
    ("rate_limited", "user"): ("You have asked for too many codes. Try again {wait}.", Action.BACKUP_CODE),
    ("rate_limited", "number"): ("Too many codes went to this number. Try again {wait}.", Action.BACKUP_CODE),
    ("rate_limited", "address"): ("Too many attempts from your network. Try again {wait}.", Action.WAIT),
    ("rate_limited", "refused"): ("Too many messages could not be delivered. Try again {wait}.", Action.OTHER_NUMBER),
    ("sms_delivery_failed", "invalid_number"): ("The number does not exist.", Action.OTHER_NUMBER),
    ("sms_delivery_failed", "not_mobile"): NO_SMS,
    ("sms_delivery_failed", "opted_out"): (
        "This phone has blocked our messages. Send START to our number, or use another.",
        Action.BACKUP_CODE,
    ),
    ("sms_delivery_failed", "country_not_permitted"): COUNTRY,
    ("sms_delivery_failed", "provider_unavailable"): (
        "Text messages are not going out right now. Try again in a minute.",
        Action.SEND_AGAIN,
    ),
    ("sms_delivery_failed", "rejected"): ("The message could not be delivered.", Action.OTHER_NUMBER),
    ("service_unavailable", None): DOWN,
    ("sms_not_configured", None): DOWN,
    # Our own tokens: client.py answers for them.
    ("unauthorized", "missing"): DOWN,
    ("unauthorized", "expired"): DOWN,
    ("unauthorized", "invalid"): DOWN,
    ("invalid_request", None): ("That does not look like a code. It has six digits.", Action.TRY_AGAIN),
    ("not_found", None): OURS,
    ("method_not_allowed", None): OURS,
    ("payload_too_large", None): OURS,
    ("unsupported_media_type", None): OURS,
}


def explain(refused):
    """What to show for a refusal."""
    words = TABLE.get((refused.code, refused.reason)) or TABLE.get((refused.code, None)) or OURS
    sentence, action = words
    sentence = sentence.format(wait=wait(refused.retry_after))
    if refused.code == "invalid_code" and refused.attempts_remaining is not None:
        left = refused.attempts_remaining
        sentence += f" {left} attempt{'' if left == 1 else 's'} left."
    return Explanation(sentence, action)


def wait(seconds):
    """A time to wait, as a person says it, never shorter than it is."""
    if seconds is None:
        return "in a moment"
    if seconds < 120:
        return f"in {seconds} second{'' if seconds == 1 else 's'}"
    return f"in {-(-seconds // 60)} minutes"
