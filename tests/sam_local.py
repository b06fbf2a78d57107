#!/usr/bin/env python3
"""A whole enrollment through `make sam-local` and `make sam-local-api`: SAM, its container, its emulator, the release binaries.

Run by `make test-sam-local`. Without Docker, or without Lambda's image for this processor, it says so and tests nothing; .ci/with-docker
provides both.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCH = sys.argv[1]
IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCH}"
START_WITHIN = 1200  # seconds, a build from nothing included
STOP_WITHIN = 60  # seconds


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def skip(reason):
    banner = "=" * 100
    print(f"{banner}\nSKIPPED: `sam local` was not tested, because {reason}\n{banner}", flush=True)
    sys.exit(0)


def make(*arguments):
    return ["make", "--silent", *arguments, f"ARCH={ARCH}"]


class Log:
    """What the functions and SAM wrote, over all runs."""

    def __init__(self):
        self.text = ""

    def check(self):
        lines = [line for line in self.text.splitlines() if '"level":"ERROR"' in line]
        assert not lines, f"nothing fails, and an emulator that ends is no failure: {lines}"
        assert '"outcome":"success"' in self.text, "the functions' log is shown"
        containers = re.findall(r"SAM_CONTAINER_ID: (\w+)", self.text)
        assert containers, "there were containers"
        left = docker("ps", "--all", "--quiet", "--no-trunc").stdout.split()
        assert not set(containers) & set(left), "no container is left"


def invoke(log, function, event, status, body=None):
    """Sends a file of events/ to a function, with another body if one is given, and returns what the answer says."""
    text = (ROOT / "events" / f"{event}.json").read_text()
    if body is not None:
        text = json.dumps({**json.loads(text), "body": json.dumps(body)})
    command = make("sam-local", f"FUNCTION={function}", "EVENT=-")
    run = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=START_WITHIN, check=False)
    log.text += run.stderr
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["statusCode"] == status, f"{event}: {answer}\n{run.stderr}"
    print(f"sam-local {function} {event}: {run.stdout.strip()}", flush=True)
    return json.loads(answer["body"])


def code_of(answer):
    return re.search(r"use code: (\d{6})$", answer["warning"]).group(1)


def invocations(log):
    """Each is a process and a container of its own; what one left in the database, the next finds."""
    assert invoke(log, "SetupFunction", "setup-without-token", 401)["code"] == "unauthorized"
    code = code_of(invoke(log, "SetupFunction", "setup", 200))
    assert len(invoke(log, "VerifyFunction", "verify", 200, {"code": code})["backup_codes"]) == 10
    assert invoke(log, "SetupFunction", "setup-status", 200)["enabled"] is True
    code = code_of(invoke(log, "SendSmsFunction", "send-sms", 200))
    assert invoke(log, "VerifyFunction", "verify", 200, {"code": code, "purpose": "sign_in"})["purpose"] == "sign_in"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Api:
    """`make sam-local-api`, called by a user."""

    def __init__(self, user, log_file):
        self.port, self.log_file = free_port(), log_file
        self.token = subprocess.run(make("token", f"SUB={user}"), cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    def __enter__(self):
        environment = {**os.environ, "PORT": str(self.port)}
        output = self.log_file.open("w")
        self.process = subprocess.Popen(
            make("sam-local-api"), cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        deadline = time.monotonic() + START_WITHIN
        while socket.socket().connect_ex(("127.0.0.1", self.port)) != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"sam local start-api does not listen:\n{self.log_file.read_text()}")
            time.sleep(0.2)
        return self

    def stop(self):
        """As Ctrl-C in a terminal: a signal to the whole group."""
        try:
            os.killpg(self.process.pid, signal.SIGINT)
        except ProcessLookupError:
            pass
        self.process.wait(STOP_WITHIN)
        deadline = time.monotonic() + STOP_WITHIN
        while group_lives(self.process.pid):
            assert time.monotonic() < deadline, "no process is left"
            time.sleep(0.1)

    def __exit__(self, *_):
        self.stop()

    def call(self, method, path, status, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/auth/2fa/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                answered, text = reply.status, reply.read()
        except urllib.error.HTTPError as refusal:
            answered, text = refusal.code, refusal.read()
        assert answered == status, f"{method} {path}: {answered} {text}\n{self.log_file.read_text()}"
        print(f"sam-local-api {method} {path}: {answered} {text.decode()}", flush=True)
        return json.loads(text)


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def calls(api):
    """A factor's life through the routes of the template, each spelling of a path once."""
    assert api.call("POST", "verify/", 409, {"code": "000000"})["code"] == "no_pending_verification"
    code = code_of(api.call("POST", "setup/", 200, {"method": "sms", "phone_number": "+447400123456"}))
    codes = api.call("POST", "verify", 200, {"code": code})["backup_codes"]
    assert api.call("GET", "setup", 200)["enabled"] is True
    code = code_of(api.call("POST", "send-sms", 200, {}))
    assert api.call("POST", "verify", 200, {"code": code, "purpose": "sign_in"})["purpose"] == "sign_in"
    assert api.call("DELETE", "setup/", 200, {"code": codes[0]}) == {"enabled": False}


if docker("info").returncode != 0:
    skip(f"no Docker daemon answers: {docker('info').stderr.strip()}")
if docker("image", "inspect", IMAGE).returncode != 0:
    pulled = docker("pull", IMAGE)
    if pulled.returncode != 0:
        skip(f"{IMAGE} is not here and cannot be pulled: {pulled.stderr.strip()}")

with tempfile.TemporaryDirectory() as folder:
    os.environ["DATA_DIR"] = str(Path(folder) / "data")
    # Any variable that the template declares may come from the shell.
    os.environ["SMS_COOLDOWN_SECONDS"] = "0"
    log = Log()
    invocations(log)
    with Api("bob", Path(folder) / "api.log") as api:
        calls(api)
    log.text += api.log_file.read_text()
    log.check()
print("sam local: every answer was as expected, and nothing is left of it")
