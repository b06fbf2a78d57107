// The wire: each request and its answer, as curl to copy, with its line in the log and its records in the audit trail.

import { timeOfDay } from "./countdown.js";
import { $, copy, element } from "./dom.js";
import { lab } from "./service.js";

const KEPT = 200;

/** Quoted for a POSIX shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a command, which makes a token of its own: what is copied opens nothing. */
export const curl = ({ method, path, user, has_token: hasToken, content_type: type, body }) => {
  const lines = [`curl -i -X ${method} ${quoted(location.origin + path)}`];
  if (hasToken) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (type) lines.push(`-H ${quoted(`Content-Type: ${type}`)}`);
  if (body) lines.push(`--data-raw ${quoted(body)}`);
  const token = hasToken ? `TOKEN=$(make -s token SUB=${quoted(user ?? "alice")})\n` : "";
  return token + lines.join(" \\\n  ");
};

const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

/** `setup`, of `/api/v1/auth/2fa/setup/`. */
const endpoint = (path) => path.replace(/^\/api\/v1\/auth\/2fa\//, "").replace(/\/$/, "") || path;

const outcome = ({ answer }) => {
  try {
    const { code, reason, purpose, enabled, verified } = JSON.parse(answer);
    if (code) return reason ? `${code}, ${reason}` : code;
    if (verified) return `verified, ${purpose}`;
    if (purpose) return `sent, ${purpose}`;
    if (enabled !== undefined) return enabled ? "on" : "off";
  } catch { /* No JSON: nothing to say of it. */ }
  return "";
};

export class Wire {
  #exchanges = [];
  #selected = null;
  /** Whether the newest request is the selected one, whichever that is: until somebody selects an older one. */
  #follows = true;

  constructor() {
    $("with-status").addEventListener("change", () => this.#list());
    this.#list();
  }

  async refresh() {
    const { ok, body } = await lab("GET", "/_wire");
    if (!ok) return;
    this.#exchanges = body;
    if (!body.some(({ id }) => id === this.#selected)) {
      this.#selected = null;
      this.#follows = true;
      this.#detail();
    }
    this.#list();
    this.#follow();
  }

  /** A request was answered. */
  add(exchange) {
    this.#exchanges = [exchange, ...this.#exchanges.filter(({ id }) => id !== exchange.id)].slice(0, KEPT);
    this.#list();
    this.#follow();
  }

  get #shown() {
    const withStatus = $("with-status").checked;
    return this.#exchanges.filter(({ method, path }) => withStatus || method !== "GET" || endpoint(path) !== "setup");
  }

  #follow() {
    const [newest] = this.#shown;
    if (this.#follows && newest && newest.id !== this.#selected) this.#select(newest);
  }

  #list() {
    const shown = this.#shown;
    const focused = document.activeElement?.dataset?.exchange;
    $("exchanges").replaceChildren(...shown.map((exchange) => this.#row(exchange)));
    if (shown.length === 0) $("exchanges").append(element("li", { class: "empty" }, "No request yet. Those of curl and of your own app are shown here, too."));
    if (focused) $("exchanges").querySelector(`[data-exchange="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(exchange) {
    const { id, method, path, status, user, time } = exchange;
    const kind = status < 300 ? "good" : status < 500 ? "refused" : "failed";
    return element("li", {}, element("button", {
      type: "button", "data-exchange": id, "aria-current": id === this.#selected ? "true" : undefined, onclick: () => this.#select(exchange),
    },
      element("span", { class: "method" }, method),
      element("span", { class: "path" }, endpoint(path)),
      element("span", { class: `status ${kind}` }, String(status)),
      element("span", { class: "outcome" }, outcome(exchange)),
      element("span", { class: "quiet who" }, `${user ?? "nobody"}, ${timeOfDay(time)}`)));
  }

  async #select(exchange) {
    this.#selected = exchange.id;
    this.#follows = exchange.id === this.#shown[0]?.id;
    this.#list();
    const { ok, body } = await lab("GET", `/_wire/${encodeURIComponent(exchange.id)}`);
    if (this.#selected === exchange.id) this.#detail(exchange, ok ? body : { problem: body.message });
  }

  #detail(exchange, more) {
    const place = $("exchange");
    if (!exchange) {
      place.replaceChildren(element("p", { class: "empty" }, "Select a request: it is shown as curl, with its answer, its audit records and its line in the log."));
      return;
    }
    const command = curl(exchange);
    const block = (title, text, button) =>
      [element("div", { class: "block-head" }, element("h3", {}, title), button ?? null), element("pre", { tabindex: "0", "aria-label": title }, text)];
    const button = element("button", { type: "button", onclick: () => copy(button, command) }, "Copy");
    const headers = exchange.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
    const audit = more.audit?.length ? more.audit.map((record) => JSON.stringify(record, null, 2)).join("\n")
      : more.problem ?? "None: nothing was judged, and nothing changed.";
    place.replaceChildren(
      ...block("Request", command, button),
      ...block(`Answer ${exchange.status}`, `${headers}\n\n${pretty(exchange.answer)}`),
      ...block("Audit trail", audit),
      ...block("Line in the log", more.log ? pretty(more.log) : more.problem ?? ""));
  }
}
