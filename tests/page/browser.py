"""A local server, and a browser in front of its page."""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cloud"))

from processes import Processes, free_port, start  # noqa: E402

# Chromium is asked for what it has under these names; where it has none of them, Playwright looks for its own.
NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]

__all__ = ["ROOT", "browser", "expect", "serve"]


@contextlib.contextmanager
def serve(program, port=None, **settings):
    """A server with these settings, on a free port unless one is named; gives its address."""
    port = port or free_port()
    # Nothing of the person's own settings, and no file .env.
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), **settings}
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:
        log = Path(folder) / "log"
        start(processes, [str(program), "--development", "serve"], port, log, env=environment, cwd=folder)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def browser():
    """Chromium: the one that CHROMIUM names, or the system's, or Playwright's own."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    # The sandbox is not for root, whom containers run as; only this server's own pages are shown.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()
