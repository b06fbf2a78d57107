// Your app: what an application would show a user around the three endpoints.

import { inWords, short } from "./countdown.js";
import { $, copy, element, notice } from "./dom.js";
import { actAs, call } from "./service.js";
import { PURPOSES, refusal } from "./words.js";

/** What the user is doing: which fields that takes, what its code was sent for, and how it is called. `code` says how the code field is
 *  called, `sends` the purpose of the code that "Send again" asks for. */
const TASKS = {
  start: { title: "Turn on two-factor authentication", submit: "Send the code", number: true },
  enroll: { title: "Enter the code", submit: "Turn it on", code: true, sends: "enroll", other: "Use another number" },
  sign_in: { title: "Sign in", submit: "Sign in", code: true, sends: "sign_in", backup: true },
  confirm: { title: "Confirm the payment", submit: "Confirm", code: true, sends: "confirm", backup: true },
  change_number: { title: "Change the number", submit: "Send a code to the new number", number: true, code: true, sends: "change", backup: true },
  replace: { title: "Enter the code from the new number", submit: "Change the number", code: true, sends: "replace" },
  new_codes: { title: "Make new backup codes", submit: "Make them", code: true, sends: "change", backup: true },
  turn_off: { title: "Turn two-factor authentication off", submit: "Turn it off", code: true, sends: "change", backup: true },
  restore: { title: "Set the number up again", submit: "Send the code", number: true, code: true, backup: true, onlyBackup: true },
};

const HINTS = {
  start: "Nothing is really sent, so any mobile number will do: +12015550123, say.",
  change_number: "First the proof that it is you: a code sent to your present number, or a backup code.",
  new_codes: "The old ones work no more then.",
  turn_off: "Signing in takes the password alone then.",
  restore: "Too many wrong codes came. Prove that it is you with a backup code.",
};

/** Refusals that are about what the code field says. */
const ABOUT_CODE = ["invalid_code", "code_expired", "code_superseded", "wrong_purpose", "too_many_attempts", "verification_required"];
/** Refusals that are about what the number field says. */
const ABOUT_NUMBER = ["invalid_phone_number", "phone_number_not_allowed", "already_enabled", "sms_delivery_failed"];

export class App {
  user = null;
  #phone;
  #status = null;
  #task = null;
  /** When things happen, on the clock of the browser's process: `resend`, `expires`, `unlock`. */
  #due = {};
  #saidResend = true;
  /** How often users have changed. */
  #turn = 0;
  #asked = 0;

  /** An app whose messages go to `phone`; `isReal` where they go to people. */
  constructor(phone, isReal) {
    this.#phone = phone;
    if (isReal) HINTS.start = "The message is really sent, and costs money: use your own number.";
    $("task").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    $("resend").addEventListener("click", () => {
      const purpose = TASKS[this.#task]?.sends;
      if (purpose) this.#send(purpose);
    });
    $("cancel").addEventListener("click", () => this.#leave());
    for (const button of $("actions").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#begin(button.dataset.task));
    }
    $("codes-saved").addEventListener("click", () => this.#hideCodes());
    $("codes-copy").addEventListener("click", () => {
      copy($("codes-copy"), [...$("code-list").children].map(({ textContent }) => textContent).join("\n"));
    });
  }

  /** Another user sits in front of the screen; `null` is whoever a pasted token names. Says what is wrong, or nothing. */
  async switchTo(user) {
    this.#turn += 1;
    this.user = user;
    this.#task = null;
    this.#status = null;
    this.#phone.forgetCode();
    this.#clear();
    $("codes").hidden = true;
    $("code-list").replaceChildren();
    this.#draw();
    const problem = user === null ? null : await actAs(user);
    if (!problem) await this.refresh();
    return problem;
  }

  /** Calls the service; an answer that comes when another user is here already is late. */
  async #call(...request) {
    const turn = this.#turn;
    const answer = await call(...request);
    return { ...answer, isLate: turn !== this.#turn };
  }

  /** A code was clicked on the phone. */
  type(code) {
    if ($("code-field").hidden || $("task").hidden) return;
    $("code").value = code;
    $("code").focus();
  }

  /** Asks where the user stands, and draws it. */
  async refresh() {
    const asked = (this.#asked += 1);
    const { ok, body, isLate } = await this.#call("GET", "setup");
    // A later question has the newer answer.
    if (isLate || asked !== this.#asked) return;
    if (!ok) {
      this.#status = null;
      this.#draw();
      this.#refuse(body);
      return;
    }
    this.#status = body;
    this.#due = {
      resend: this.#in(body.resend_in), expires: this.#in(body.live_code?.expires_in), unlock: this.#in(body.locked_for),
    };
    this.#task = this.#fitting();
    this.#draw();
  }

  tick() {
    const task = TASKS[this.#task];
    if (!task || !this.#status) return;
    const { live_code: live, sends_remaining: sends } = this.#status;
    const left = (name) => this.#left(name);
    const facts = [];
    if (live && task.sends === live.purpose) {
      facts.push(left("expires") > 0 ? `Expires in ${short(left("expires"))}` : "Too old");
      facts.push(`${live.attempts_remaining} ${live.attempts_remaining === 1 ? "guess" : "guesses"} left`);
    } else if (task.code && !task.onlyBackup) {
      facts.push("No code is out");
    }
    if (left("unlock") > 0) facts.push(`locked for ${short(left("unlock"))}`);
    $("code-facts").textContent = facts.join(" · ");

    const waits = left("resend") > 0;
    $("resend").disabled = waits;
    const again = waits ? `Again in ${short(left("resend"))}` : "You can send again";
    $("resend-facts").textContent = task.sends ? `${again} · ${sends} text ${sends === 1 ? "message" : "messages"} left this hour` : "";
    if (!waits && !this.#saidResend) $("ticker").textContent = "You can ask for another code now.";
    this.#saidResend = !waits;
  }

  #left(name) {
    return (this.#due[name] ?? 0) - performance.now() / 1000;
  }

  #in(seconds) {
    return seconds > 0 ? performance.now() / 1000 + seconds : 0;
  }

  /** What the user may be doing, where they stand: what they began, or what is out. */
  #fitting() {
    const { enabled, pending, factor_disabled: disabled, live_code: live } = this.#status;
    const begun = this.#task;
    if (!enabled) return pending && begun !== "start" ? "enroll" : "start";
    if (begun && !["start", "enroll"].includes(begun) && (begun !== "replace" || pending)) return begun;
    if (pending && (!live || live.purpose === "replace")) return "replace";
    if (disabled) return "restore";
    return live && ["sign_in", "confirm"].includes(live.purpose) ? live.purpose : null;
  }

  #draw() {
    const status = this.#status;
    const task = TASKS[this.#task];
    $("task").hidden = !status || !task;
    $("actions").hidden = !status?.enabled || status.factor_disabled || Boolean(task);
    $("standing").textContent = status ? this.#standing(status) : "";
    this.#drawFacts(status);
    if (!status || !task) return;
    $("task-title").textContent = task.title;
    $("task-hint").textContent = HINTS[this.#task] ?? this.#sentTo(task);
    $("number-field").hidden = !task.number;
    $("code-field").hidden = !task.code;
    $("code-label").textContent = task.onlyBackup ? "Backup code" : task.backup ? "Code from the text message, or a backup code" : "Code from the text message";
    $("code").inputMode = task.backup ? "text" : "numeric";
    $("submit").textContent = task.submit;
    $("resend").hidden = !task.sends;
    $("resend").textContent = status.pending || status.live_code?.purpose === task.sends ? "Send again" : "Send a code";
    $("cancel").hidden = ["start", "restore"].includes(this.#task);
    $("cancel").textContent = task.other ?? "Not now";
    this.tick();
  }

  #standing({ enabled, phone_number_masked: number, factor_disabled: disabled, pending, locked_for: locked }) {
    if (!enabled) return pending ? "Two-factor is off, a number waits" : "Two-factor is off";
    return `Two-factor is on, ${number}${disabled ? ", disabled" : locked > 0 ? ", locked" : ""}`;
  }

  #sentTo({ sends }) {
    const { phone_number_masked: active, pending_phone_number_masked: waiting } = this.#status;
    const number = ["enroll", "replace"].includes(sends) ? waiting : active;
    return number ? `A code ${PURPOSES[sends]} goes to ${number}.` : "";
  }

  #drawFacts(status) {
    const facts = !status?.enabled ? [] : [
      ["Number", status.phone_number_masked],
      ["On since", new Date(status.enabled_at).toLocaleString("en-GB")],
      ["Backup codes left", String(status.backup_codes_remaining)],
    ];
    $("facts").hidden = facts.length === 0;
    $("facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  }

  /** Begins to do something. It takes a code, which is sent unless one of its kind is out already, or it is too early for another. */
  async #begin(name) {
    this.#clear();
    this.#task = name;
    this.#draw();
    this.#focus();
    const { sends } = TASKS[name];
    if (this.#status.live_code?.purpose === sends || this.#left("resend") > 0) return;
    await this.#send(sends);
  }

  #leave() {
    this.#clear();
    this.#task = this.#task === "enroll" ? "start" : null;
    this.#draw();
    this.#focus();
  }

  async #send(purpose) {
    $("resend").disabled = true;
    const answer = await this.#call("POST", "send-sms", { purpose });
    // What was typed meanwhile, a backup code perhaps, stays.
    await this.#after(answer, this.#sent(answer.body), false);
  }

  async #submit() {
    $("submit").disabled = true;
    await this.#handIn();
    $("submit").disabled = false;
  }

  async #handIn() {
    const code = $("code").value;
    const fields = { method: "sms", phone_number: $("number").value.trim() };
    const verify = (purpose, more) => this.#call("POST", "verify", { code, purpose, ...more });
    switch (this.#task) {
      case "start": return this.#numberSent(await this.#call("POST", "setup", fields));
      case "change_number":
      case "restore": return this.#numberSent(await this.#call("POST", "setup", { ...fields, code }));
      case "enroll": return this.#finished(await verify("enroll"), "Two-factor authentication is on.");
      case "replace": return this.#finished(await verify("replace"), "The new number is active.");
      case "sign_in": return this.#finished(await verify("sign_in"), "Signed in.");
      case "confirm": return this.#finished(await verify("confirm"), "The payment is confirmed.");
      case "new_codes": return this.#finished(await verify("change", { regenerate_backup_codes: true }), "These are your new backup codes.");
      case "turn_off": return this.#finished(await this.#call("DELETE", "setup", { code }), "Two-factor authentication is off.");
      default: return undefined;
    }
  }

  #sent({ purpose, phone_number_masked: number, warning }) {
    if (warning) return `No message leaves: the code ${PURPOSES[purpose]} is in the answer.`;
    return `We sent a code ${PURPOSES[purpose]} to ${number}.`;
  }

  /** A number was handed in, and a code is on its way to it, or is not: then the number waits all the same. */
  async #numberSent(answer) {
    const { ok, body, isLate } = answer;
    if (isLate) return;
    if (ok || body.code === "sms_delivery_failed") this.#task = this.#status.enabled ? "replace" : "enroll";
    await this.#after(answer, this.#sent(body));
  }

  /** A code was handed in that ends what the user is doing. */
  async #finished(answer, words) {
    const { ok, body, isLate } = answer;
    if (isLate) return;
    if (!ok) {
      await this.#after(answer);
      return;
    }
    this.#task = null;
    this.#phone.forgetCode();
    const wrong = body.failed_attempts ?? 0;
    const told = wrong === 0 ? "" : ` ${wrong} wrong ${wrong === 1 ? "code was" : "codes were"} entered since you last signed in.`;
    const left = body.backup_codes_remaining;
    const codes = left === undefined ? "" : ` ${left} backup ${left === 1 ? "code is" : "codes are"} left.`;
    await this.#after(answer, words + told + codes);
    if (body.backup_codes) this.#showCodes(body.backup_codes);
  }

  /** Draws what is so after an answer, and says it; `empties` the fields of what was granted. */
  async #after({ ok, body, isLate }, words, empties = true) {
    if (isLate) return;
    this.#clear(ok && empties);
    const code = /use code: (\d{6})$/.exec(body.warning ?? "")?.[1];
    if (code) this.#phone.code(code, body);
    await this.refresh();
    if (ok) notice($("done"), words);
    else this.#refuse(body);
    this.#focus(!ok);
    if (ok && this.#due.resend) $("ticker").textContent = `You can ask for another code in ${inWords(body.resend_in ?? 30)}.`;
  }

  #refuse(problem) {
    notice($("refusal"), refusal(problem));
    const names = problem.errors?.map(({ field }) => field) ?? [];
    if (ABOUT_NUMBER.includes(problem.code) || names.includes("phone_number")) $("number").setAttribute("aria-invalid", "true");
    if (ABOUT_CODE.includes(problem.code) || names.includes("code")) $("code").setAttribute("aria-invalid", "true");
  }

  #clear(fields = true) {
    notice($("refusal"), null);
    notice($("done"), null);
    $("ticker").textContent = "";
    for (const field of [$("number"), $("code")]) {
      field.removeAttribute("aria-invalid");
      if (fields) field.value = "";
    }
  }

  /** Puts the cursor where the next thing is to be typed; after a refusal, where the last was. */
  #focus(again = false) {
    const fields = [$("number"), $("code")].filter((field) => !$("task").hidden && !field.closest(".field").hidden);
    const field = fields.find((one) => one.getAttribute("aria-invalid")) ?? fields.find(({ value }) => again || value === "");
    if (field) {
      field.focus();
      field.select();
    } else {
      $("actions").querySelector("button").focus();
    }
  }

  #showCodes(codes) {
    $("code-list").replaceChildren(...codes.map((code) => element("li", {}, element("code", {}, code))));
    $("codes").hidden = false;
    $("actions").hidden = true;
    $("codes-title").focus();
  }

  #hideCodes() {
    $("codes").hidden = true;
    $("code-list").replaceChildren();
    this.#draw();
    this.#focus();
  }
}
