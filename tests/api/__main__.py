"""Has schemathesis try the running local server against openapi.yaml: all checks, each operation and sequences of them.

    python tests/api LOCAL SCHEMATHESIS EXAMPLES SEED [SEED …]

LOCAL is the program of `make run`. Each seed has a server of its own, with an empty table, and limits that let many requests through.
"""

import os
import pathlib
import subprocess
import sys

from server import serve

HERE = pathlib.Path(__file__).parent
SETTINGS = {
    "SMS_COOLDOWN_SECONDS": "0",
    "SMS_MAX_PER_WINDOW": "100",
    "SMS_MAX_PER_IP": "0",
    "LOCK_AFTER_FAILURES": "100",
}


def run(local, schemathesis, examples, seed):
    with serve(local, SETTINGS) as url:
        token = subprocess.run([local, "--development", "token", f"api-{seed}"], check=True, capture_output=True, text=True)
        command = [
            schemathesis, "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json",
            "--url", url, "--header", f"Authorization: Bearer {token.stdout.strip()}", "--checks", "all",
            "--max-examples", examples, "--seed", seed, "--warnings", "off", "--no-color",
        ]  # fmt: skip
        hooks = {"SCHEMATHESIS_HOOKS": str(HERE / "checks.py"), "PYTHONPATH": str(HERE)}
        return subprocess.run(command, env={**os.environ, **hooks}).returncode


if __name__ == "__main__":
    _, local, schemathesis, examples, *seeds = sys.argv
    failed = [seed for seed in seeds if run(local, schemathesis, examples, seed) != 0]
    if failed:
        sys.exit(f"these seeds found something: {', '.join(failed)}")
