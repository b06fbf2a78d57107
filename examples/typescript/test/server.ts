// The real service, on a free port, with a table of its own.

import { execFileSync, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const binaries = process.env["TWO_FACTOR_BINARIES"] ?? resolve(import.meta.dirname, "../../../target/debug");
// `cargo build --workspace --bin two-factor-local` makes it.
const local = resolve(binaries, "two-factor-local");

/** Starts the service with these settings. */
export async function serve(settings: Record<string, string>): Promise<{ url: string; stop: () => void }> {
  const env = { ...process.env, PORT: "0", ...settings };
  const child = spawn(local, ["--development", "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the service ended with ${code}`)));
  });
  const lines = createInterface(child.stdout);
  const found = new Promise<string>((found) => {
    lines.on("line", (line) => {
      const url = /service +(http:\/\/[^/]+)\//.exec(line)?.[1];
      if (url) found(url);
    });
  });
  const url = await Promise.race([found, failed]);
  failed.catch(() => undefined);
  return { url, stop: () => void child.kill() };
}

/** A token for a user, as the service's own development mode makes them. */
export function tokenFor(user: string): string {
  return execFileSync(local, ["--development", "token", user], { encoding: "utf8" }).trim();
}
