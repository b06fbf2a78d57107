"""The calls to the two-factor service: for one user, with a token that is made for the call and never leaves this server."""

import json
import logging
import time
import uuid

import jwt
import requests
from django.conf import settings

logger = logging.getLogger(__name__)

PATH = "/api/v1/auth/2fa"
# Seconds to connect, and to answer: the service answers or gives up within 30.
TIMEOUT = (3, 31)
TOKEN_LIFE = 60


class Refused(Exception):
    """The service said no, or nothing at all. `code` and `reason` are those of its problem document."""

    def __init__(self, status, problem, retry_after=None):
        super().__init__(problem.get("code"))
        self.status = status
        self.code = problem.get("code", "service_unavailable" if status >= 500 or status == 429 else "invalid_request")
        self.reason = problem.get("reason")
        self.retry_after = problem.get("retry_after", retry_after)
        self.attempts_remaining = problem.get("attempts_remaining")


def token_for(user_id, address):
    """A token that says who the user is, in the shape of djangorestframework-simplejwt's access tokens.

    The audience is the service's alone, so that it opens nothing else; it is made for whoever proved a password, be they signed in
    or only half. `ip` has the service count the user's address and not this server's (AUTH_ADDRESS_CLAIM).
    """
    now = int(time.time())
    claims = {
        "token_type": "access",
        "user_id": str(user_id),
        "aud": "2fa",
        "ip": address,
        "iat": now,
        "exp": now + TOKEN_LIFE,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, settings.TWO_FACTOR_TOKEN_SECRET, algorithm="HS256")


def call(user_id, address, method, endpoint, *, body=None, content_type="application/json"):
    """Sends a request as it is, and returns the answer as it is. Raises Refused if there is none, or none that is for the user."""
    try:
        answer = requests.request(
            method,
            f"{settings.TWO_FACTOR_URL}{PATH}/{endpoint}/",
            data=body,
            headers={"Authorization": f"Bearer {token_for(user_id, address)}", "Content-Type": content_type},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        logger.error("the two-factor service cannot be reached: %s", type(error).__name__)
        raise Refused(503, {"code": "service_unavailable"}) from error
    if answer.status_code == 401:
        # The token is of our own making: secret, audience or claims differ from what the service is set to. No user can help it.
        logger.error("the two-factor service does not take our tokens: %s", answer.text[:200])
        raise Refused(503, {"code": "service_unavailable"})
    return answer


class TwoFactor:
    """The service, for one user. Each method returns the answer's body, or raises Refused."""

    def __init__(self, user_id, address):
        self.user_id, self.address = user_id, address

    def status(self):
        return self._ask("GET", "setup")

    def setup(self, phone_number, code=None):
        """Starts an enrollment; with 2FA on, a replacement, which takes a code of purpose `change` or a backup code."""
        proof = {"code": code} if code else {}
        return self._ask("POST", "setup", method="sms", phone_number=phone_number, **proof)

    def turn_off(self, code=None):
        """Turns it off, or drops an enrollment that was never verified. Proxies drop the body of a DELETE, so this is a POST."""
        proof = {"code": code} if code else {}
        return self._ask("POST", "setup", method="none", **proof)

    def send(self, purpose):
        return self._ask("POST", "send-sms", purpose=purpose)

    def verify(self, code, purpose, **more):
        return self._ask("POST", "verify", code=code, purpose=purpose, **more)

    def _ask(self, http_method, endpoint, **fields):
        body = json.dumps(fields) if http_method == "POST" else None
        answer = call(self.user_id, self.address, http_method, endpoint, body=body)
        try:
            content = answer.json()
        except requests.exceptions.JSONDecodeError:
            content = {}
        if answer.status_code == 200:
            return content
        retry_after = answer.headers.get("Retry-After", "")
        raise Refused(answer.status_code, content, int(retry_after) if retry_after.isdigit() else None)
