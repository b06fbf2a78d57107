// The page at the local server's front door: puts the panes together, and tells them what happens.

import { App } from "./app.js";
import { $, notice } from "./dom.js";
import { Levers } from "./levers.js";
import { Phone } from "./phone.js";
import { isCalling, lab } from "./service.js";
import { Wire } from "./wire.js";

const { ok, body: about } = await lab("GET", "/_lab");
if (!ok) notice($("lever-refusal"), about.message);

const phone = new Phone(about.messages, about.providers ?? [], (code) => app.type(code));
const app = new App(phone, about.messages === "providers");
const wire = new Wire();
const levers = new Levers(about, (user) => app.switchTo(user));

$("inbox-link").hidden = about.messages !== "inbox";

// One stream: a browser has few connections to a server, and each tab takes one.
const news = new EventSource("/_events");
news.addEventListener("message", ({ data }) => phone.announce(JSON.parse(data)));
news.addEventListener("change", () => phone.refresh());
news.addEventListener("exchange", ({ data }) => {
  const exchange = JSON.parse(data);
  wire.add(exchange);
  // Somebody else, with curl perhaps, has done something for the same user.
  if (exchange.user === app.user && exchange.method !== "GET" && !isCalling()) app.refresh();
});
news.addEventListener("levers", async () => {
  await levers.refresh();
  await Promise.all([phone.refresh(), wire.refresh(), app.refresh()]);
});
// Whatever was missed while there was no connection.
let wasOpen = false;
news.addEventListener("error", () => notice($("lever-refusal"), "The server does not answer. Is it still running?"));
news.addEventListener("open", () => {
  if (wasOpen) location.reload();
  wasOpen = true;
});

await levers.refresh();
await Promise.all([phone.refresh(), wire.refresh(), levers.start()]);
setInterval(() => { levers.tick(); phone.tick(); app.tick(); }, 1000);
