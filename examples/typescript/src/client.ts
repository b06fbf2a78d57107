// A client of the two-factor service on `fetch`. Its types are made from openapi.yaml: a route, its body, its answer and its
// problems come from one place, so none can disagree with another.

import type { paths } from "../generated/api.d.ts";

const routes = {
  status: ["get", "/api/v1/auth/2fa/setup/"],
  setup: ["post", "/api/v1/auth/2fa/setup/"],
  turnOff: ["delete", "/api/v1/auth/2fa/setup/"],
  sendSms: ["post", "/api/v1/auth/2fa/send-sms/"],
  verify: ["post", "/api/v1/auth/2fa/verify/"],
} as const satisfies Record<string, readonly [string, keyof paths]>;

export type Operation = keyof typeof routes;
type Described<O extends Operation> = paths[(typeof routes)[O][1]][(typeof routes)[O][0] & keyof paths[(typeof routes)[O][1]]];
type Responses<O extends Operation> = Described<O> extends { responses: infer R } ? R : never;
type Content<R, Type extends string> = R extends { content: { [T in Type]: infer C } } ? C : never;

/** The body of a request; `undefined` where there is none. */
export type Body<O extends Operation> = Described<O> extends { requestBody?: { content: { "application/json": infer B } } }
  ? B
  : undefined;
/** The body of an answer that grants. */
export type Granted<O extends Operation> = Content<Responses<O>[200 & keyof Responses<O>], "application/json">;
/** A refusal (RFC 9457), told apart by its `code`. */
export type Problem<O extends Operation> = Content<Responses<O>[keyof Responses<O>], "application/problem+json"> | NoProblem;
/** No answer, or one that is no problem document, such as those that a gateway gives itself: the request may have worked. */
export type NoProblem = { code: "no_answer"; status?: number; detail: string };
export type Result<O extends Operation> = { ok: true; value: Granted<O> } | { ok: false; problem: Problem<O>; retryAfter?: number };

export class TwoFactor {
  readonly #url: string;
  readonly #token: () => string | Promise<string>;

  /** `token` makes or finds the bearer token of the user in question, for each call anew. */
  constructor(url: string, token: () => string | Promise<string>) {
    this.#url = url;
    this.#token = token;
  }

  /** Calls an operation. Never throws for what the network or the service does: that is a result, too. */
  async call<O extends Operation>(
    operation: O,
    ...[body]: undefined extends Body<O> ? [body?: Body<O>] : [body: Body<O>]
  ): Promise<Result<O>> {
    const [method, path] = routes[operation];
    const headers: Record<string, string> = { Authorization: `Bearer ${await this.#token()}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const init = { method: method.toUpperCase(), headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    try {
      // The service answers or gives up within 30 seconds.
      const response = await fetch(new URL(path, this.#url), { ...init, signal: AbortSignal.timeout(31_000) });
      const type = response.headers.get("Content-Type") ?? "";
      if (response.ok && type.startsWith("application/json")) return { ok: true, value: (await response.json()) as Granted<O> };
      const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
      const problem = type.startsWith("application/problem+json")
        ? ((await response.json()) as Problem<O>)
        : { code: "no_answer" as const, status: response.status, detail: response.statusText };
      return { ok: false, problem, ...(retryAfter && { retryAfter }) };
    } catch (error) {
      return { ok: false, problem: { code: "no_answer", detail: String(error) } };
    }
  }
}
