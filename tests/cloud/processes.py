"""Programs that the test starts, and ends with it."""

import random
import socket
import subprocess
import sys
import time


# Below the ports that systems give to outgoing connections: such a one could take a port between its choice and its use.
PORTS = list(range(20000, 32000))
random.shuffle(PORTS)


def free_port():
    """A port that nothing listens at, and that is handed out once."""
    while True:
        port = PORTS.pop()
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


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
