"""The real service on a free port, with an inbox for its text messages; a user and a browser for each test."""

import itertools
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import Client

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "correct horse battery staple"
TOKENS = {
    "AUTH_JWT_SECRET": django_settings.TWO_FACTOR_TOKEN_SECRET,
    "AUTH_USER_CLAIM": "user_id",
    "AUTH_REQUIRED_CLAIMS": "token_type=access",
    "AUTH_AUDIENCE": "2fa",
    "AUTH_ADDRESS_CLAIM": "ip",
    "ASSERTION_AUDIENCE": "others",
}
MANY = {"SMS_COOLDOWN_SECONDS": "0", "SMS_MAX_PER_WINDOW": "100", "SMS_MAX_PER_IP": "0"}
numbers = itertools.count(100)


@dataclass
class Service:
    """A running service."""

    url: str
    database: str

    def messages(self):
        """The newest first."""
        return requests.get(f"{self.url}/_inbox.json").json()

    def code(self):
        """The code in the newest message."""
        return next(message["code"] for message in self.messages() if message["code"])

    def pass_time(self, seconds):
        requests.post(f"{self.url}/_clock", json={"advance_seconds": seconds}).raise_for_status()


@pytest.fixture(scope="session")
def programs():
    """Where the service's programs are: named by TWO_FACTOR_BINARIES, or built here."""
    if folder := os.environ.get("TWO_FACTOR_BINARIES"):
        return Path(folder).resolve()
    subprocess.run(["cargo", "build", "--workspace", "--bin", "two-factor-local", "--bin", "doctor"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR") or os.environ.get("CARGO_BUILD_TARGET_DIR") or "target"
    return ROOT / target / "debug"


@pytest.fixture(scope="session")
def serve(programs):
    """Starts a service with these settings; all are stopped in the end."""
    running = []

    def start(**settings):
        process = subprocess.Popen(
            [programs / "two-factor-local", "--development", "serve"],
            env={**os.environ, "PORT": "0", **TOKENS, **settings},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        found = {}
        for line in process.stdout:
            if match := re.search(r"(service|database) +.*?(http://\S+?)(/api/\S*)?$", line.strip()):
                found[match[1]] = match[2]
            if len(found) == 2:
                # What it prints from here on is read, so that it never waits for a reader.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return Service(found["service"], found["database"])
        raise AssertionError("the service did not start")

    yield start
    for process in running:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def usual(serve):
    return serve(SMS_INBOX="1", **MANY)


@pytest.fixture
def service(usual, settings):
    """The service that this test's site calls: limits on sends are out of the way."""
    settings.TWO_FACTOR_URL = usual.url
    return usual


class Browser(Client):
    """One person at the site. Follows redirects, and brings CSRF tokens, which are checked."""

    def __init__(self, service, user):
        super().__init__(enforce_csrf_checks=True)
        self.service, self.account = service, user
        self.number = f"+1201555{next(numbers):04}"

    def open(self, path):
        return self.get(path, follow=True)

    def submit(self, path, action=None, **fields):
        """Opens a page and sends its form, hidden fields included; `action` is where that goes, if not to the page itself."""
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.open(path).content.decode())
        return self.post(action or path, {**dict(hidden), **fields}, follow=True)

    def password(self, password=PASSWORD, **fields):
        return self.submit("/sign-in/", username=self.account.username, password=password, **fields)

    def enroll(self):
        """From the password to backup codes."""
        self.password()
        self.submit("/security/enroll/", phone=self.number, password=PASSWORD)
        page = self.submit("/security/confirm-number/", code=self.service.code())
        return backup_codes(page)


def path(page):
    """Where a page came from in the end."""
    return page.request["PATH_INFO"]


def backup_codes(page):
    return re.findall(r"<li><code>([0-9A-Z-]{19})</code>", page.content.decode())


@pytest.fixture
def browse(service, django_user_model):
    """Opens a browser for a new user."""

    def open_browser(service=service):
        name = f"user{next(numbers)}"
        return Browser(service, django_user_model.objects.create_user(name, password=PASSWORD))

    return open_browser


@pytest.fixture
def alice(browse, db):
    return browse()


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def unique_ids(db):
    """Users of different tests are different users to the service: the table here is rolled back, the one there is not."""
    user_model = get_user_model()
    user_model.objects.create(pk=next(numbers) * 1000, username="sequence")
