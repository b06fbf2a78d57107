#!/usr/bin/env python3
"""`sam local …` on an embedded database of its own: `sam_local.py ARCH invoke SetupFunction --event events/setup.json`.

Run by `make sam-local` and `make sam-local-api`, which build the functions and the program of the database (LOCAL), and install SAM.
The database stays in DATA_DIR, so that the next invocation knows what the one before did.
"""

import ipaddress
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
# How a container calls the machine that it runs on. Docker Desktop knows the name; elsewhere --add-host brings it.
HOST = "host.docker.internal"


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def reachable_address():
    """The address of this machine that HOST leads to, for the database to listen on.

    It is Docker's bridge where that is an interface of this machine. Docker Desktop has its bridge in a virtual machine, and
    leads HOST to this machine's loopback interface.
    """
    inspected = docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")
    if inspected.returncode != 0:
        sys.exit(f"sam local needs Docker: {inspected.stderr.strip() or 'no network called bridge'}")
    config = json.loads(inspected.stdout)[0]
    # Docker names the gateway only where somebody chose it; it takes the first address of the subnet.
    gateway = config.get("Gateway") or str(ipaddress.ip_network(config["Subnet"])[1])
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError:
            return "127.0.0.1"
    return gateway


def run_beside_a_database(arguments):
    """Starts the database, and under it this file again, which finds the database's address in its environment."""
    os.environ.setdefault("DATABASE_BIND", reachable_address())
    os.environ.setdefault("DATA_DIR", "data/sam-local")
    # A database that the shell or .env names may listen where no container reaches it: set to nothing, which hides both.
    os.environ.update(AWS_ENDPOINT_URL="", AWS_ENDPOINT_URL_DYNAMODB="")
    command = [*shlex.split(os.environ["LOCAL"]), "database", "--"]
    os.execvp(command[0], [*command, sys.executable, __file__, "--beside", *arguments])


def run_sam(arch, arguments):
    # Nothing here calls AWS: without an account SAM does not ask for one, and no real credentials get into the container.
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]:
        os.environ.pop(name, None)
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")
    os.environ["SAM_CLI_TELEMETRY"] = "0"

    variables = json.loads((ROOT / "events/env.json").read_text())
    port = urlsplit(os.environ["AWS_ENDPOINT_URL_DYNAMODB"]).port
    variables["Parameters"]["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://{HOST}:{port}"
    # The file would win over the shell and .env, which have named the table that the database made.
    variables["Parameters"].update({name: os.environ[name] for name in ["APP_ENV", "TABLE_NAME"]})
    # Handed over in a pipe, so that there is no file left to remove, however this ends.
    reader, writer = os.pipe()
    os.write(writer, json.dumps(variables).encode())
    os.close(writer)
    os.set_inheritable(reader, True)

    command = [str(Path(sys.executable).with_name("sam")), "local", *arguments, "--env-vars", f"/dev/fd/{reader}"]
    command += ["--add-host", f"{HOST}:host-gateway", "--parameter-overrides", f"Architecture={arch}"]
    if docker("image", "inspect", f"public.ecr.aws/lambda/provided:al2023-{arch}").returncode == 0:
        command.append("--skip-pull-image")
    os.execv(command[0], command)


os.chdir(ROOT)
if sys.argv[1] == "--beside":
    run_sam(sys.argv[2], sys.argv[3:])
else:
    run_beside_a_database(sys.argv[1:])
