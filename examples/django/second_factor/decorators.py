"""Step-up: a view that takes a fresh second factor, whoever is signed in."""

from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url

from .session import is_fresh


def second_factor_required(max_age):
    """Lets through whoever proved a second factor in the last `max_age` seconds; sends others to prove it, and back."""

    def decorate(view):
        @wraps(view)
        def guarded(request, *args, **kwargs):
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not is_fresh(request, max_age):
                return redirect_to_login(request.get_full_path(), resolve_url("step-up"))
            return view(request, *args, **kwargs)

        return guarded

    return decorate
