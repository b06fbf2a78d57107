// The phone: text messages as they arrive, with what each code is still good for.

import { now, short, timeOfDay } from "./countdown.js";
import { $, element } from "./dom.js";
import { lab } from "./service.js";
import { PURPOSES } from "./words.js";

const STATES = {
  live: "Live",
  used: "Used",
  superseded: "Replaced by a newer one",
  expired: "Too old",
  exhausted: "Dead: too many wrong codes",
  withdrawn: "Withdrawn",
};

const ABOUT = {
  inbox: () => "Every number's messages end here. A click types a code in.",
  answers: () => "No provider is configured, so no message leaves: the code is in the answer. SMS_INBOX=1 make run catches messages instead.",
  providers: (names) => `Messages go to real phones, by ${names.join(", or else ")}, and cost money.`,
  nowhere: () => "No provider is configured: no code can be sent.",
};

export class Phone {
  #mode;
  #pick;
  #messages = [];
  #to = "";
  #asked = 0;
  #fromAnswer = null;

  /** A phone where `pick` gets a code that is clicked. */
  constructor(mode, providers, pick) {
    this.#mode = mode;
    this.#pick = pick;
    const about = ABOUT[mode];
    if (about && $("wire")) $("phone-about").textContent = about(providers);
    this.#show();
  }

  /** Shows messages to this number alone; to all of them where it is empty. */
  filter(to) {
    this.#to = to;
    this.#show();
  }

  /** The numbers that have messages. */
  get numbers() {
    return [...new Set(this.#messages.map(({ number }) => number))].sort();
  }

  async refresh() {
    if (this.#mode !== "inbox") return;
    const asked = (this.#asked += 1);
    const { ok, body } = await lab("GET", "/_inbox.json");
    // A later question has the newer answer.
    if (!ok || asked !== this.#asked) return;
    this.#messages = body;
    this.#show();
  }

  /** A message came. */
  announce({ text, number }) {
    $("phone-news").textContent = `Text message to ${number}: ${text}`;
  }

  /** An answer carried the code that no message does. */
  code(code, { purpose, phone_number_masked: number, expires_in: life }) {
    const moment = now();
    this.#fromAnswer = {
      id: "answer", time: moment, number, purpose, code, state: "live", expires_at: moment + life * 1000,
      text: `${code} is your code ${PURPOSES[purpose] ?? ""}. It was in the answer.`,
    };
    this.#show();
  }

  /** The code of an answer works no more. */
  forgetCode() {
    this.#fromAnswer = null;
    this.#show();
  }

  tick() {
    for (const place of $("messages").querySelectorAll("[data-expires]")) {
      const left = (Number(place.dataset.expires) - now()) / 1000;
      place.textContent = left > 0 ? `${STATES.live}, ${short(left)} left` : STATES.expired;
      place.closest("li").classList.toggle("live", left > 0);
    }
  }

  #show() {
    const all = this.#fromAnswer ? [this.#fromAnswer] : this.#messages;
    const shown = all.filter(({ number }) => !this.#to || number === this.#to);
    const focused = document.activeElement?.dataset?.message;
    $("messages").replaceChildren(...shown.map((message) => this.#item(message)));
    if (shown.length === 0) $("messages").append(element("li", { class: "empty" }, "No message yet."));
    if (focused) $("messages").querySelector(`[data-message="${CSS.escape(focused)}"]`)?.focus();
    this.tick();
  }

  #item({ id, time, number, user, purpose, code, state, expires_at: expires, text }) {
    const isLive = state === "live";
    const label = code && element("p", { class: "state", "data-expires": isLive && new Date(expires).getTime() }, STATES[state] ?? "Arriving");
    return element("li", { class: `message ${isLive ? "live" : code ? "dead" : "notice-message"}` },
      element("p", { class: "meta" },
        element("span", { class: "number" }, number), user ? ` ${user}` : null, ` · ${timeOfDay(time)}`,
        purpose ? element("span", { class: "purpose" }, purpose) : null),
      element("p", { class: "bubble" }, ...this.#text(id, code, text)),
      label || null);
  }

  /** The text with its code as a button. */
  #text(id, code, text) {
    const at = code ? text.indexOf(code) : -1;
    if (at < 0) return [text];
    const button = element("button", {
      type: "button", class: "code", "data-message": id, "aria-label": `Use the code ${code}`, onclick: () => this.#pick(code, button),
    }, code);
    return [text.slice(0, at), button, text.slice(at + code.length)];
  }
}
