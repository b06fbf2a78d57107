"""Has schemathesis try the running local server against openapi.yaml: all checks, each operation and sequences of them.

    python tests/api LOCAL SCHEMATHESIS EXAMPLES SEED [SEED …]

LOCAL is the program of `make run`. Each seed has a server of its own, with an empty table, and limits that let many requests through.
"""

import os
import pathlib
import re
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).parent
SETTINGS = {
    "PORT": "0",
    "ADMIN_PORT": "0",
    "SMS_COOLDOWN_SECONDS": "0",
    "SMS_MAX_PER_WINDOW": "100",
    "SMS_MAX_PER_IP": "0",
    "LOCK_AFTER_FAILURES": "100",
}


def serve(local):
    """The server's process and address."""
    environment = {**os.environ, **SETTINGS}
    process = subprocess.Popen(
        [local, "--development", "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    printed = []
    for line in process.stdout:
        printed.append(line)
        if found := re.search(r"service +(http://\S+?)/api/", line):
            # What it prints from here on is read, so that it never waits for a reader.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, found[1]
    raise SystemExit("the server did not start:\n" + "".join(printed))


def run(local, schemathesis, examples, seed):
    process, url = serve(local)
    try:
        token = subprocess.run([local, "--development", "token", f"api-{seed}"], check=True, capture_output=True, text=True).stdout.strip()
        command = [
            schemathesis, "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json",
            "--url", url, "--header", f"Authorization: Bearer {token}", "--checks", "all",
            "--max-examples", examples, "--seed", seed, "--warnings", "off", "--no-color",
        ]  # fmt: skip
        hooks = {"SCHEMATHESIS_HOOKS": str(HERE / "checks.py"), "PYTHONPATH": str(HERE)}
        return subprocess.run(command, env={**os.environ, **hooks}).returncode
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    _, local, schemathesis, examples, *seeds = sys.argv
    failed = [seed for seed in seeds if run(local, schemathesis, examples, seed) != 0]
    if failed:
        sys.exit(f"these seeds found something: {', '.join(failed)}")
