// The levers: whose token, what time, how the provider fails, and everything from the start.

import { now, setNow, inWords, timeOfDay } from "./countdown.js";
import { $, element, notice } from "./dom.js";
import { lab, useToken } from "./service.js";

export class Levers {
  #about;
  #switchTo;
  #failures = [];

  constructor(about, switchTo) {
    this.#about = about;
    this.#switchTo = switchTo;
    $("clock").hidden = !about.moves_clock;
    $("provider").hidden = about.messages !== "inbox";
    $("reset").hidden = !about.resets;
    $("user-form").hidden = !about.makes_tokens;
    $("token-form").hidden = about.makes_tokens;

    $("user-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#be($("user").value.trim());
    });
    $("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      useToken($("token").value);
      $("token").value = "";
      this.#switchTo(null);
    });
    for (const button of $("clock").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#pull("/_clock", { advance_seconds: Number(button.dataset.seconds) }));
    }
    $("failure").addEventListener("change", () => this.#explain());
    $("provider").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#pull("/_provider", { failure: $("failure").value || null, until: $("until").value });
    });
    const ask = (asking) => {
      $("reset-ask").hidden = asking;
      $("reset-do").hidden = !asking;
      $("reset-keep").hidden = !asking;
      $(asking ? "reset-do" : "reset-ask").focus();
    };
    $("reset-ask").addEventListener("click", () => ask(true));
    $("reset-keep").addEventListener("click", () => ask(false));
    $("reset-do").addEventListener("click", async () => {
      await this.#pull("/_reset");
      ask(false);
    });
  }

  /** Begins with the user that the field names. */
  async start() {
    if (this.#about.makes_tokens) await this.#be($("user").value);
    else $("token").focus();
  }

  /** Asks how the levers stand. */
  async refresh() {
    if (this.#about.moves_clock) {
      const { ok, body } = await lab("GET", "/_clock");
      if (ok) {
        setNow(body.now);
        $("ahead").textContent = body.ahead_seconds > 0 ? `${inWords(body.ahead_seconds)} ahead` : "";
      }
    }
    if (this.#about.messages === "inbox") {
      const { ok, body } = await lab("GET", "/_provider");
      if (ok) this.#show(body);
    }
    this.tick();
  }

  tick() {
    $("time").textContent = timeOfDay(now());
  }

  async #be(user) {
    notice($("lever-refusal"), await this.#switchTo(user));
  }

  async #pull(path, fields) {
    const { ok, body } = await lab("POST", path, fields);
    notice($("lever-refusal"), ok ? null : body.message);
  }

  #show({ trouble, failures }) {
    this.#failures = failures;
    const options = failures.map(({ name, title }) => element("option", { value: name }, `fails: ${title}`));
    $("failure").replaceChildren(element("option", { value: "" }, "works"), ...options);
    $("failure").value = trouble?.failure ?? "";
    if (trouble) $("until").value = trouble.until;
    $("provider").classList.toggle("pulled", Boolean(trouble));
    this.#explain();
  }

  #explain() {
    const failure = this.#failures.find(({ name }) => name === $("failure").value);
    $("until").disabled = !failure;
    $("provider-does").textContent = failure?.does ?? "It takes every message, and the phone has it at once.";
  }
}
