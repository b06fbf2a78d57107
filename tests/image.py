#!/usr/bin/env python3
"""The container: what is in it, and a whole enrollment with it, on an embedded DynamoDB.

Run by `make test-image`. Without Docker it says so and tests nothing. Where Docker has no buildx, or cannot pull the image that compiles,
the programs are compiled here, by the same command, and the Dockerfile's last stage alone is built around them; that is said too.
.ci/with-docker provides a daemon.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cloud"))

from processes import Processes, free_port, start  # noqa: E402

LOCAL, TARGET = sys.argv[1:]
IMAGE = "two-factor-server:test"
PROGRAMS = ["two-factor-server", "doctor"]
MAX_BYTES = 25_000_000
BASE = "/api/v1/auth/2fa"


def docker(*arguments, check=True):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done


def banner(text):
    line = "=" * 100
    print(f"{line}\n{text}\n{line}", flush=True)


def build():
    """Builds the image, whole if that is possible."""
    text = (ROOT / "Dockerfile").read_text()
    compiler = re.search(r"^FROM .*?(\S+) AS build$", text, flags=re.MULTILINE)[1]
    if docker("buildx", "version", check=False).returncode == 0 and docker("pull", "--quiet", compiler, check=False).returncode == 0:
        subprocess.run(["docker", "buildx", "build", "--load", "--tag", IMAGE, str(ROOT)], check=True)
        return
    banner(f"SKIPPED: the stage that compiles, because {compiler} cannot be used here; what it compiles is compiled without a container")
    [command] = re.findall(r"^  cargo zigbuild (.*?)\\\n    (.*?)\\$", text, flags=re.MULTILINE)
    command = "cargo zigbuild " + "".join(command).replace('"$(cat /target)"', TARGET)
    subprocess.run(command.split(), cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "out").mkdir()
        shutil.copy(ROOT / "target" / TARGET / "server" / "two-factor-container", context / "out" / "two-factor-server")
        (context / "out" / "doctor").symlink_to("two-factor-server")
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
        last = text[text.rindex("FROM scratch"):].replace("--from=build /out/", "out/").replace("--from=build /etc/ssl/certs/", "")
        (context / "Dockerfile").write_text(last)
        docker("build", "--tag", IMAGE, folder)


def look_at_image():
    [image] = json.loads(docker("image", "inspect", IMAGE).stdout)
    config = image["Config"]
    assert image["Size"] <= MAX_BYTES, f"{image['Size']} bytes"
    assert config["User"] == "65532:65532" and config["Healthcheck"]["Test"][-1] == "healthcheck", config
    made = docker("create", IMAGE).stdout.strip()
    try:
        names = subprocess.run(f"docker export {made} | tar -t", shell=True, check=True, capture_output=True, text=True).stdout.split()
    finally:
        docker("rm", made)
    files = {f"usr/local/bin/{program}" for program in PROGRAMS} | {"etc/ssl/certs/ca-certificates.crt"}
    # What else there is Docker puts into every container: places to mount its own files at.
    mounted = re.compile(r"(\.dockerenv|dev/.*|etc/(hostname|hosts|mtab|resolv\.conf)|proc/|sys/)$")
    others = [name for name in names if not name.endswith("/") and name not in files and not mounted.match(name)]
    assert files <= set(names) and not others, others
    print(f"{image['Size'] / 1e6:.1f} MB: {', '.join(PROGRAMS)}")


def call(port, method, path, token=None, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")


def live(processes, folder):
    database, port, admin = free_port(), free_port(), free_port()
    start(processes, [LOCAL, "--development", "database"], database, folder / "database.log", env={"DATABASE_PORT": str(database)})
    settings = {
        "APP_ENV": "development",
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{database}",
        "TABLE_NAME": "of-the-container",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "BIND": "127.0.0.1",
        "PORT": str(port),
        "ADMIN_PORT": str(admin),
        "DRAIN_SECONDS": "1",
    }
    common = ["--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    common += [part for name, value in settings.items() for part in ["--env", f"{name}={value}"]]
    doctor = ["run", "--rm", *common, "--entrypoint", "/usr/local/bin/doctor", IMAGE]
    print(docker(*doctor, "table", "create").stdout)
    token = docker(*doctor, "token", "--sub", "alice").stdout.strip()

    server = docker("run", "--detach", *common, "--health-interval", "1s", IMAGE).stdout.strip()
    try:
        deadline = time.monotonic() + 60
        while docker("inspect", "--format", "{{.State.Health.Status}}", server).stdout.strip() != "healthy":
            assert time.monotonic() < deadline, docker("logs", server, check=False)
            time.sleep(0.5)
        urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=30).close()
        status, enrolled = call(port, "POST", f"{BASE}/setup", token, {"method": "sms", "phone_number": "+12015550123"})
        assert status == 200, enrolled
        code = enrolled["warning"].rsplit(" ", 1)[1]
        status, verified = call(port, "POST", f"{BASE}/verify", token, {"code": code})
        assert status == 200 and len(verified["backup_codes"]) == 10, verified
        assert call(port, "GET", f"{BASE}/setup", token)[1]["enabled"] is True
        docker("stop", "--time", "45", server)
        ended = docker("inspect", "--format", "{{.State.ExitCode}}", server).stdout.strip()
        logs = docker("logs", server)
        lines = [json.loads(line) for line in (logs.stdout + logs.stderr).splitlines()]
        assert ended == "0" and any(line.get("message", "").startswith("stopping") for line in lines), logs
    finally:
        docker("rm", "--force", server)
    print("enrolled, verified and stopped in the container")


def main():
    if docker("info", check=False).returncode:
        banner("SKIPPED: the container was not tested, because no Docker daemon answers")
        return
    build()
    try:
        look_at_image()
        with Processes() as processes, tempfile.TemporaryDirectory() as folder:
            live(processes, Path(folder))
    finally:
        docker("image", "rm", "--force", IMAGE, check=False)


main()
