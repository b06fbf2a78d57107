"""The local server on a free port, for as long as it is used."""

import contextlib
import os
import re
import subprocess
import threading


@contextlib.contextmanager
def serve(local, settings):
    """Starts LOCAL, the program of `make run`, with these settings; gives its address, without a slash at the end."""
    process = subprocess.Popen(
        [local, "--development", "serve"],
        env={**os.environ, "PORT": "0", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield address(process)
    finally:
        process.terminate()
        process.wait()


def address(process):
    printed = []
    for line in process.stdout:
        printed.append(line)
        if found := re.search(r"service +(http://\S+?)/api/", line):
            # What it prints from here on is read, so that it never waits for a reader.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found[1]
    raise SystemExit("the server did not start:\n" + "".join(printed))
