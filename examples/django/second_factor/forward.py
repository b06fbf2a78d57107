"""The service's own three URLs, for front ends that call them already: the same requests and answers, through this site.

The user is the session's; whatever the client says of users or tokens goes nowhere. Django's CSRF check holds here, too: a front
end sends the cookie's token as X-CSRFToken. This server is the one that believes an answer, and writes it into the session.
"""

import json
import uuid

from django.http import HttpResponse
from django.views.csrf import csrf_failure as page_of_csrf_failure
from django.views.decorators.cache import never_cache

from .client import PATH, Refused, call
from .session import half_signed_in, proven, sign_in

MAX_BODY = 4096
# What an answer may say to the browser; not WWW-Authenticate, which is about a token that the browser never sees.
HEADERS = ["Allow", "Content-Type", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Content-Type-Options", "X-Request-Id"]
PROOFS = ("sign_in", "confirm", "enroll", "replace")


def problem(status, code, title, detail, headers=(), **extras):
    """A problem document of the service's kind (RFC 9457)."""
    body = {
        "type": f"urn:2fa:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": str(uuid.uuid4()),
        **extras,
    }
    return HttpResponse(json.dumps(body), status=status, content_type="application/problem+json", headers=dict(headers))


@never_cache
def forward(request, endpoint):
    """Sends the request on, in the name of the session's user, and its answer back."""
    # One byte more than the service takes is enough for it to refuse.
    body, content_type = request.body[: MAX_BODY + 1], request.headers.get("Content-Type", "")
    user = request.user if request.user.is_authenticated else None
    half = None
    if user is None:
        user = half = half_signed_in(request)
        if half is None or endpoint == "setup" and request.method != "GET":
            challenge = {"WWW-Authenticate": 'Session realm="second factor"'}
            detail = "Sign in first."
            return problem(401, "unauthorized", "Not signed in", detail, challenge, reason="missing")
        if endpoint != "setup":
            body, content_type = for_signing_in(body), "application/json"
    try:
        answer = call(
            user.pk, request.META["REMOTE_ADDR"], request.method, endpoint, body=body or None, content_type=content_type
        )
    except Refused:
        detail = "Something is down. Try again in a moment."
        return problem(503, "service_unavailable", "Service unavailable", detail, {"Retry-After": "5"})
    if answer.status_code == 200 and request.method in ("POST", "DELETE"):
        believe(request, answer.json(), half)
    headers = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
    return HttpResponse(for_browser(answer), status=answer.status_code, headers=headers)


def for_signing_in(body):
    """What a half signed-in user may ask for: a code to sign in with, or to have one judged. Nothing changes their factor."""
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        return body
    if not isinstance(asked, dict):
        return body
    meant = {"code": asked["code"]} if "code" in asked else {}
    return json.dumps({**meant, "purpose": "sign_in"}).encode()


def believe(request, content, half):
    """Writes into the session what the service said to this server."""
    if content.get("verified") and content.get("purpose") in PROOFS:
        if half is not None:
            sign_in(request, half, content["method"])
        else:
            proven(request, content["method"])
    elif content.get("enabled") is False:
        proven(request, None)


def for_browser(answer):
    """The answer's body, without the assertion: that is a token for other services, and this server knows the result already."""
    if b'"assertion"' not in answer.content:
        return answer.content
    content = answer.json()
    content.pop("assertion", None)
    return json.dumps(content).encode()


def csrf_failure(request, reason=""):
    """Django's page for a failed CSRF check; for a front end that calls the service's URLs, a problem document."""
    if request.path.startswith(PATH):
        detail = "Send the value of the cookie csrftoken as X-CSRFToken."
        return problem(403, "csrf_failed", "Cross-site request refused", detail)
    return page_of_csrf_failure(request, reason)
