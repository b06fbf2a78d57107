"""The site's own pages: one for whoever is signed in, and one that takes a fresh second factor."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render

from second_factor.decorators import second_factor_required


@login_required
def home(request):
    return render(request, "second_factor/home.html")


@second_factor_required(max_age=300)
def payout(request):
    """Something that a stolen session must not do."""
    if request.method == "POST":
        messages.success(request, "The payout is on its way.")
        return redirect("home")
    return render(request, "second_factor/payout.html")
