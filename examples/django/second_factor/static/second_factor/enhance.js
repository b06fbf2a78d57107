// What a page is better for, and works without: a countdown at "Send another code", and the code out of the text message (WebOTP).
for (const button of document.querySelectorAll("button[data-wait]")) {
  let left = Number(button.dataset.wait);
  const told = button.parentElement.querySelector("[data-countdown]");
  const tick = () => {
    button.disabled = left > 0;
    if (told) told.textContent = left > 0 ? `You can ask for one in ${left} s.` : "";
    if (left-- > 0) setTimeout(tick, 1000);
  };
  tick();
}
const field = document.querySelector("input[autocomplete=one-time-code]");
if (field && "OTPCredential" in window) {
  const given = new AbortController();
  field.form.addEventListener("submit", () => given.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: given.signal }).then((otp) => (field.value = otp.code), () => {});
}
