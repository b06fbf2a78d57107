// Time: how it is written, and how far the service's clock is ahead of this one.

let aheadMs = 0;

/** What time it is for the service, in milliseconds since 1970. */
export const now = () => Date.now() + aheadMs;

/** The service says what time it is (RFC 3339, whole seconds). */
export const setNow = (text) => {
  const service = Date.parse(text);
  // Within a second they are the same clock: the service leaves fractions out.
  aheadMs = Math.abs(service - Date.now()) < 1500 ? 0 : service - Date.now();
};

/** `4:31`; hours and days where it takes them. */
export const short = (seconds) => {
  const left = Math.max(0, Math.ceil(seconds));
  if (left >= 86400) return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
  const two = (part) => String(part).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor((left % 3600) / 60), left % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};

/** `22 seconds`, `15 minutes`: as a person says it, and never less than it is. */
export const inWords = (seconds) => {
  const left = Math.max(1, Math.ceil(seconds));
  const [amount, unit] = left < 100 ? [left, "second"] : left < 6000 ? [Math.ceil(left / 60), "minute"] : [Math.ceil(left / 3600), "hour"];
  return `${amount} ${unit}${amount === 1 ? "" : "s"}`;
};

/** The time of day of an RFC 3339 timestamp, here. */
export const timeOfDay = (moment) => new Date(moment).toLocaleTimeString("en-GB");
