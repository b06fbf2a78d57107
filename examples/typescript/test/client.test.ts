// The client against the real service. What the types forbid is tested as well: `tsc` complains where nothing is wrong.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import { TwoFactor, type Granted, type Problem } from "../src/client.ts";
import { serve, tokenFor } from "./server.ts";

let service: Awaited<ReturnType<typeof serve>>;
before(async () => {
  service = await serve({ SMS_MAX_PER_WINDOW: "100" });
});
after(() => service.stop());

const clientOf = (user: string) => new TwoFactor(service.url, () => tokenFor(user));

/** The code, which development says where there is no SMS provider. */
const codeIn = (sent: { warning?: string }) => sent.warning?.slice(-6) ?? assert.fail("no code in the answer");

async function enroll(client: TwoFactor, phone_number: string): Promise<Granted<"verify">> {
  const sent = await client.call("setup", { method: "sms", phone_number });
  assert(sent.ok && "purpose" in sent.value);
  const verified = await client.call("verify", { code: codeIn(sent.value), purpose: "enroll" });
  assert(verified.ok);
  return verified.value;
}

test("a number is enrolled, and GET tells where the user stands", async () => {
  const client = clientOf("alice");
  const { backup_codes } = await enroll(client, "+12015550123");
  assert.equal(backup_codes?.length, 10);
  const status = await client.call("status");
  assert(status.ok);
  assert.equal(status.value.phone_number_masked, "+1****0123");
});

test("a backup code signs in, and turns the factor off by DELETE", async () => {
  const client = clientOf("bob");
  const [first, second] = (await enroll(client, "+12015550124")).backup_codes ?? [];
  assert(first && second);
  const verified = await client.call("verify", { code: first, purpose: "sign_in" });
  assert(verified.ok);
  assert.equal(verified.value.backup_codes_remaining, 9);
  assert.deepEqual(await client.call("turnOff", { code: second }), { ok: true, value: { enabled: false } });
});

test("a refusal is told apart by its code, which says what else there is", async () => {
  const client = clientOf("carol");
  await enroll(client, "+12015550125");
  const limited = await client.call("sendSms", { purpose: "sign_in" });
  assert(!limited.ok && limited.problem.code === "rate_limited");
  assert.equal(limited.problem.reason, "cooldown");
  assert.equal(limited.problem.retry_after, limited.retryAfter);

  const headers = { "Content-Type": "application/json" };
  await fetch(new URL("/_clock", service.url), { method: "POST", headers, body: '{"advance_seconds": 31}' });
  const sent = await client.call("sendSms", { purpose: "sign_in" });
  assert(sent.ok);
  const code = String((Number(codeIn(sent.value)) + 1) % 1_000_000).padStart(6, "0");
  const wrong = await client.call("verify", { code, purpose: "sign_in" });
  assert(!wrong.ok && wrong.problem.code === "invalid_code");
  assert.equal(wrong.problem.attempts_remaining, 4);
});

/** Exhaustive: a new code in openapi.yaml is an error here, until somebody says what to show. */
function sentence(problem: Problem<"sendSms">): string {
  switch (problem.code) {
    case "rate_limited":
      return problem.reason === "cooldown" ? `Wait ${problem.retry_after} s.` : "Too many codes. Use a backup code.";
    case "locked":
      return `Locked for ${problem.retry_after} s.`;
    case "sms_delivery_failed":
      return problem.reason === "opted_out" ? "This phone has blocked our messages." : "It could not be delivered.";
    case "phone_number_not_allowed":
    case "no_pending_verification":
    case "factor_disabled":
      return "Set up another number.";
    case "unauthorized":
      return "Please sign in again.";
    case "no_answer":
    case "service_unavailable":
    case "sms_not_configured":
      return "Something is down.";
    case "invalid_request":
    case "payload_too_large":
    case "unsupported_media_type":
      return "Something went wrong.";
    default:
      return problem satisfies never;
  }
}

test("every refusal of an operation has a sentence, checked by the compiler", async () => {
  const result = await clientOf("dave").call("sendSms", { purpose: "sign_in" });
  assert(!result.ok);
  assert.equal(sentence(result.problem), "Set up another number.");
});

test("a bad token is a problem, and no answer at all is one too", async () => {
  const forged = await new TwoFactor(service.url, () => "forged").call("status");
  assert(!forged.ok && forged.problem.code === "unauthorized");
  assert.equal(forged.problem.reason, "invalid");
  const nowhere = await new TwoFactor("http://127.0.0.1:1", () => "any").call("status");
  assert(!nowhere.ok && nowhere.problem.code === "no_answer");
});

test("an answer without a code, such as a gateway's own, goes by its status", async () => {
  const headers = { "Content-Type": "application/json" };
  const gateway = createServer((_, response) => void response.writeHead(429, headers).end("null")).listen(0);
  const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
  const result = await new TwoFactor(url, () => "any").call("status");
  gateway.close();
  assert(!result.ok && result.problem.code === "no_answer");
  assert.equal(result.problem.status, 429);
});

/** Never run: what must not compile. */
export async function typesForbid(client: TwoFactor): Promise<void> {
  // @ts-expect-error a code is a string
  await client.call("verify", { code: 123456 });
  // @ts-expect-error there is no such purpose
  await client.call("sendSms", { purpose: "login" });
  // @ts-expect-error a number is missing
  await client.call("setup", { method: "sms" });
  // @ts-expect-error a body is missing
  await client.call("verify");
  const result = await client.call("verify", { code: "123456" });
  // @ts-expect-error whether it worked was not asked
  result.value;
}
