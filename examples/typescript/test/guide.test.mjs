// The middleware of docs/integrate.md, as it stands there, in a real Express, against the real service.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";

import express from "express";

import { TwoFactor } from "../src/client.ts";
import { serve, tokenFor } from "./server.ts";

const guide = readFileSync(new URL("../../../docs/integrate.md", import.meta.url), "utf8");
const [middleware] = [...guide.matchAll(/```js\n(.*?)```/gs)].map((block) => block[1]).filter((text) => text.includes("jwtVerify"));

test("Express lets a fresh second factor of this user through, and asks everybody else for one", async () => {
  const service = await serve({ SMS_COOLDOWN_SECONDS: "0", ASSERTION_AUDIENCE: "shop" });
  after(() => service.stop());
  const module = new URL("../generated/middleware.mjs", import.meta.url);
  mkdirSync(new URL(".", module), { recursive: true });
  writeFileSync(module, middleware.replaceAll("https://api.example.com", service.url));
  const { requireSecondFactor } = await import(module.href);

  const app = express();
  app.use((request, _response, next) => {
    request.user = { id: request.get("X-User") };
    next();
  });
  app.get("/payout", requireSecondFactor(300, "confirm"), (_request, response) => response.json({ paid: true }));
  app.get("/old", requireSecondFactor(0, "confirm"), (_request, response) => response.json({ paid: true }));
  const shop = app.listen(0, "127.0.0.1");
  after(() => shop.close());
  await new Promise((listening) => shop.once("listening", listening));
  const ask = (path, user, assertion) =>
    fetch(`http://127.0.0.1:${shop.address().port}${path}`, { headers: { "X-User": user, ...(assertion && { "X-2FA-Assertion": assertion }) } });

  const client = new TwoFactor(service.url, () => tokenFor("alice"));
  const code = (sent) => sent.value.warning.slice(-6);
  await client.call("verify", { code: code(await client.call("setup", { method: "sms", phone_number: "+12015550123" })), purpose: "enroll" });
  const assertionFor = async (purpose) => {
    const sent = await client.call("sendSms", { purpose });
    return (await client.call("verify", { code: code(sent), purpose, nonce: "n-1" })).value.assertion;
  };
  const confirmed = await assertionFor("confirm");
  const allowed = await ask("/payout", "alice", confirmed);
  assert.deepEqual([allowed.status, await allowed.json()], [200, { paid: true }]);

  const signedIn = await assertionFor("sign_in");
  for (const [reason, path, user, assertion] of [
    ["none", "/payout", "alice", undefined],
    ["nothing of ours", "/payout", "alice", "a.b.c"],
    ["of another user", "/payout", "mallory", confirmed],
    ["for another purpose", "/payout", "alice", signedIn],
    ["a token", "/payout", "alice", tokenFor("alice")],
    ["too old", "/old", "alice", confirmed],
  ]) {
    const refused = await ask(path, user, assertion);
    assert.equal(refused.status, 401, reason);
    assert.match(refused.headers.get("WWW-Authenticate"), /error="insufficient_user_authentication", max_age="(300|0)"/);
    assert.deepEqual(await refused.json(), { code: "insufficient_user_authentication" });
  }
});
