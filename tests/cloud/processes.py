"""Programs that the test starts, and ends with it."""

import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Processes:
    """Those that run. Leaving the context ends them."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            self.end(process)

    def stop(self, process):
        self.running.remove(process)
        self.end(process)

    @staticmethod
    def end(process):
        process.terminate()
        process.wait()


def start(processes, command, port, log, **options):
    """Starts a program and returns it once it listens."""
    process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, **options)
    processes.running.append(process)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} does not listen:\n{log.read_text()}")
            time.sleep(0.05)
