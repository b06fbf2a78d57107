"""What the session knows: who is half signed in, which factors were proven (`amr` of RFC 8176), and when the second one was."""

import time

from django.contrib.auth import get_user_model, load_backend, login, logout
from django.utils.crypto import constant_time_compare

HALF = "half_signed_in"
HALF_LIFE = 600
AMR = "amr"
AT = "second_factor_at"
# By the `method` of an accepted code.
PROVEN = {"sms": ["pwd", "otp", "sms", "mfa"], "backup_code": ["pwd", "otp", "mfa"]}


def sign_in_half(request, user):
    """The password was right. The session is good for nothing but the second factor, and for ten minutes."""
    logout(request)
    request.session[HALF] = {
        "user": str(user.pk),
        "backend": user.backend,
        "hash": user.get_session_auth_hash(),
        "at": time.time(),
    }


def half_signed_in(request):
    """The user whose password was right, a little while ago; None if there is none, or if it was changed since."""
    half = request.session.get(HALF)
    if not half or time.time() - half["at"] > HALF_LIFE:
        return None
    user = load_backend(half["backend"]).get_user(get_user_model()._meta.pk.to_python(half["user"]))
    if user is None or not constant_time_compare(half["hash"], user.get_session_auth_hash()):
        return None
    user.backend = half["backend"]
    return user


def sign_in(request, user, method=None):
    """Signs the user in; `method` is that of the second factor, if there was one. The session gets a new key."""
    request.session.pop(HALF, None)
    login(request, user)
    proven(request, method)


def proven(request, method):
    """Writes down that a second factor was proven just now; or, with None, that there is none."""
    request.session[AMR] = PROVEN[method] if method else ["pwd"]
    if method:
        request.session[AT] = time.time()
    else:
        request.session.pop(AT, None)


def is_fresh(request, max_age):
    """Whether a second factor was proven in this session, not longer than so many seconds ago."""
    return "mfa" in request.session.get(AMR, []) and time.time() - request.session.get(AT, 0) < max_age
