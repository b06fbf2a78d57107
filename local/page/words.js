// What an application shows for each refusal: the sentences of the integration guide, by `code` and, where there is one, `reason`.

import { inWords } from "./countdown.js";

/** `N attempts`, `N seconds` and `N minutes` are filled in from the refusal. */
const WORDS = {
  "invalid_code": "That code is not right. N attempts are left.",
  "code_expired": "That code is too old.",
  "code_superseded": "We sent a newer code. Please use that one.",
  "wrong_purpose": "That code is for something else.",
  "too_many_attempts": "Too many wrong codes. We need to send another.",
  "locked": "Too many wrong codes. Try again in N minutes, or use a backup code.",
  "factor_disabled": "This number is disabled. Use a backup code and set the number up again.",
  "no_pending_verification": "There is nothing to confirm.",
  "verification_required": "Please confirm with a code.",
  "already_enabled": "That is your number already.",
  "not_enabled": "Two-factor authentication is off.",
  "invalid_phone_number/format": "Write the number with + and the country code.",
  "invalid_phone_number/no_such_number": "There is no such number.",
  "phone_number_not_allowed/country": "We cannot send to this country.",
  "phone_number_not_allowed/line_type": "This line gets no text messages. Use a mobile number.",
  "rate_limited/cooldown": "You can ask for another code in N seconds.",
  "rate_limited/user": "You have asked for too many codes. Try again in N minutes.",
  "rate_limited/number": "Too many codes went to this number. Try again in N minutes.",
  "rate_limited/address": "Too many attempts from your network. Try again in N minutes.",
  "rate_limited/refused": "Too many messages could not be delivered. Try again in N minutes.",
  "sms_delivery_failed/invalid_number": "The number does not exist.",
  "sms_delivery_failed/not_mobile": "This line gets no text messages.",
  "sms_delivery_failed/opted_out": "This phone has blocked our messages. Send START to our number, or use another.",
  "sms_delivery_failed/country_not_permitted": "We cannot send to this country.",
  "sms_delivery_failed/provider_unavailable": "Text messages are not going out right now. Try again in a minute.",
  "sms_delivery_failed/rejected": "The message could not be delivered.",
  "service_unavailable": "Something is down. Try again in a moment.",
  "sms_not_configured": "Something is down. Try again in a moment.",
  "unauthorized/expired": "Please sign in again.",
  "unauthorized/missing": "Please sign in again.",
  "unauthorized/invalid": "Please sign in again.",
  "invalid_request": "Please check what you typed.",
  "not_found": "Something went wrong.",
  "method_not_allowed": "Something went wrong.",
  "payload_too_large": "Something went wrong.",
  "unsupported_media_type": "Something went wrong.",
};

/** What to show for a refusal; `problem` is the body of the answer. */
export const refusal = (problem) => {
  const words = WORDS[`${problem.code}/${problem.reason}`] ?? WORDS[problem.code];
  if (words === undefined) return "No answer came. It may have worked: look at where you stand before you try again.";
  const { attempts_remaining: left, retry_after: wait } = problem;
  const attempts = left === undefined ? "" : left === 1 ? " 1 attempt is left." : ` ${left} attempts are left.`;
  return words.replace(" N attempts are left.", attempts).replace(/N (seconds|minutes)/, wait === undefined ? "a while" : inWords(wait));
};

/** What a code is for. */
export const PURPOSES = {
  enroll: "to turn two-factor on",
  sign_in: "to sign in",
  confirm: "to confirm a payment",
  change: "to change your settings",
  replace: "to change the number",
};
