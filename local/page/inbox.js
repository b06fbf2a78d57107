// The inbox as a page of its own.

import { setNow } from "./countdown.js";
import { $, copy, element } from "./dom.js";
import { Phone } from "./phone.js";
import { lab } from "./service.js";

const phone = new Phone("inbox", [], (code, button) => copy(button, code));

const refresh = async () => {
  const { ok, body } = await lab("GET", "/_clock");
  if (ok) setNow(body.now);
  await phone.refresh();
  const chosen = $("to").value;
  const numbers = phone.numbers.map((number) => element("option", { value: number }, `to ${number}`));
  $("to").replaceChildren(element("option", { value: "" }, "to every number"), ...numbers);
  $("to").value = phone.numbers.includes(chosen) ? chosen : "";
  phone.filter($("to").value);
};

$("to").addEventListener("change", () => phone.filter($("to").value));
$("empty").addEventListener("click", () => {
  const to = $("to").value;
  lab("DELETE", to ? `/_inbox?to=${encodeURIComponent(to)}` : "/_inbox");
});

const news = new EventSource("/_inbox");
news.addEventListener("message", ({ data }) => phone.announce(JSON.parse(data)));
news.addEventListener("change", refresh);
news.addEventListener("levers", refresh);
await refresh();
setInterval(() => phone.tick(), 1000);
