"""The commands of docs/operations.md, run as they stand there against the emulated account."""

import os
import re
import subprocess

from stack import CREDENTIALS, ROOT

# What was never tried: it takes an account of AWS or of a provider.
UNTRIED = "☁"


class Block:
    """A block of shell commands, and the heading that it stands under."""

    def __init__(self, heading, text):
        self.heading, self.text, self.was_run = heading, text, False

    def commands(self):
        """What of it is tried: without commands, of one line or several, that are marked."""
        kept, command = [], []
        for line in self.text.splitlines():
            command.append(line)
            if not line.rstrip().endswith("\\"):
                if UNTRIED not in "".join(command):
                    kept.extend(command)
                command = []
        return "\n".join(kept)


class Runbook:
    def __init__(self, account, folder):
        self.account, self.folder = account, folder
        text = (ROOT / "docs" / "operations.md").read_text()
        self.blocks = []
        heading = None
        for part in re.split(r"^(#+ .*)$", text, flags=re.MULTILINE):
            if part.startswith("#"):
                heading = part.lstrip("# ")
            for indent, commands in re.findall(r"^( *)```sh\n(.*?)^ *```$", part, flags=re.MULTILINE | re.DOTALL):
                self.blocks.append(Block(heading, re.sub(rf"^{indent}", "", commands, flags=re.MULTILINE)))
        # What the other blocks use.
        [self.prelude] = [block for block in self.blocks if "export STACK=" in block.text]
        [self.change] = [block for block in self.blocks if block.heading == "Change a parameter"]
        self.prelude.was_run = self.change.was_run = True
        self.stack = re.search(r"export STACK=(\S+)", self.prelude.text)[1]

    def run(self, heading, containing="", without_stack=False, typed=""):
        """Runs the one block under a heading that contains this text, and returns what it printed; `typed` is what it reads."""
        [block] = [block for block in self.blocks if block.heading == heading and containing in block.text]
        block.was_run = True
        print(f"runbook: {heading}{f' ({containing})' if containing else ''}")
        return self.shell(block.commands(), without_stack, typed)

    def shell(self, commands, without_stack=False, typed=""):
        """Runs commands after what the blocks use, and returns what they printed."""
        before = [f"STACK={self.stack}"] if without_stack else [self.prelude.commands(), self.change.commands()]
        script = "\n".join(["set -eu", *before, commands])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ENDPOINT_URL": self.account.endpoint,
            "AWS_DEFAULT_REGION": CREDENTIALS["AWS_REGION"],
            "AWS_PAGER": "",
            **CREDENTIALS,
        }
        done = subprocess.run(["sh", "-c", script], cwd=self.folder, env=environment, input=typed, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def not_run(self):
        """The blocks that call AWS, are not marked as untried, and were not run."""
        return [block.text for block in self.blocks if "aws " in block.commands() and not block.was_run]
