"""The pages: signing in, proving a second factor again, and turning it on, changing it and turning it off."""

from datetime import datetime
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.shortcuts import redirect, render, resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from .client import Refused, TwoFactor
from .forms import ChangeNumberForm, CodeForm, EnrollForm
from .refusals import explain, wait
from .session import half_signed_in, proven, sign_in, sign_in_half

# With so few backup codes left, new ones are offered.
FEW_BACKUP_CODES = 3
# Refusals of a number, and not of the code that came with it.
ABOUT_NUMBER = ("already_enabled", "invalid_phone_number", "phone_number_not_allowed", "sms_delivery_failed")


def service(request, user=None):
    """The service, for the user who is signed in, or for this one, who is half."""
    return TwoFactor((user or request.user).pk, request.META["REMOTE_ADDR"])


def next_page(request):
    """Where the user was going: a page of this site, or the first one."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def onwards(name, next_url):
    return redirect(f"{resolve_url(name)}?{urlencode({'next': next_url})}")


def tell_sent(request, answer):
    """Says where a code is on its way to. In development, without an SMS provider, the service itself says the code."""
    messages.info(request, f"We sent a code to {answer['phone_number_masked']}.")
    if warning := answer.get("warning"):
        messages.warning(request, warning)


def tell_refused(request, refused):
    messages.error(request, explain(refused).sentence)


def offer_backup_codes(request):
    """Offers new backup codes where few are left: none after an import, as an example."""
    try:
        status = service(request).status()
    except Refused:
        return
    if status["enabled"] and (left := status["backup_codes_remaining"]) < FEW_BACKUP_CODES:
        sentence = f"You have {left or 'no'} backup code{'' if left == 1 else 's'} left. Without one, a lost phone locks you out."
        messages.warning(request, sentence, extra_tags="offers-backup-codes")


def show_backup_codes(request, answer, title):
    """The one time that they are shown. They are in this answer alone, which no page of codes lets be cached: in no session, no table
    and no URL of this site."""
    codes = answer["backup_codes"]
    text = "\r\n".join([f"Backup codes for {request.get_host()}, each good for one use", "", *codes, ""])
    download = f"data:text/plain;charset=utf-8,{quote(text)}"
    return render(request, "second_factor/backup_codes.html", {"title": title, "codes": codes, "download": download})


class SignIn(LoginView):
    """The first factor: Django's login, but for whom it signs in."""

    template_name = "second_factor/sign_in.html"

    def form_valid(self, form):
        user, next_url = form.get_user(), next_page(self.request)
        two_factor = service(self.request, user)
        try:
            status = two_factor.status()
        except Refused as refused:
            # Without an answer nobody knows whether there is a second factor: nobody is let in with one.
            form.add_error(None, explain(refused).sentence)
            return self.render_to_response(self.get_context_data(form=form), status=503)
        if not status["enabled"]:
            sign_in(self.request, user)
            return redirect(next_url)
        sign_in_half(self.request, user)
        try:
            tell_sent(self.request, two_factor.send("sign_in"))
        except Refused as refused:
            if refused.reason == "cooldown" and (live := status["live_code"]) and live["purpose"] == "sign_in":
                messages.info(self.request, "Use the code that we sent a moment ago.")
            else:
                tell_refused(self.request, refused)
        return onwards("sign-in-code", next_url)


@method_decorator(never_cache, name="dispatch")
class CodePage(View):
    """A page that sends a code of one purpose and takes it back. Subclasses say what it is for."""

    template_name = "second_factor/code.html"
    form_class = CodeForm
    title = submit = purpose = None
    # Whether a backup code does as well.
    takes_backup_code = True

    def user(self):
        return self.request.user

    def accept(self, two_factor, form):
        """Hands the code in, and returns the next page. Raises Refused."""
        raise NotImplementedError

    def get(self, request):
        return self.page(self.form_class())

    def post(self, request):
        two_factor = service(request, self.user())
        if "send" in request.POST:
            try:
                tell_sent(request, two_factor.send(self.purpose))
            except Refused as refused:
                tell_refused(request, refused)
            return onwards(request.path, next_page(request))
        form = self.form_class(request.POST)
        if not form.is_valid():
            return self.page(form, status=400)
        try:
            return self.accept(two_factor, form)
        except Refused as refused:
            return self.refuse(form, refused)

    def refuse(self, form, refused):
        """The page again, with the reason at the field that it is about."""
        explanation = explain(refused)
        is_about_number = refused.code in ABOUT_NUMBER and "phone" in form.fields
        form.add_error("phone" if is_about_number else "code", explanation.sentence)
        return self.page(form, explanation.action, status=refused.status)

    def page(self, form, action=None, status=200):
        try:
            standing = service(self.request, self.user()).status()
        except Refused:
            # The page is of use all the same.
            standing = {}
        context = {
            "title": self.title,
            "submit": self.submit,
            "form": form,
            "action": action,
            "standing": standing,
            "resend_wait": wait(standing["resend_in"]) if standing.get("resend_in") else None,
            "takes_backup_code": self.takes_backup_code,
            "next": next_page(self.request),
        }
        return render(self.request, self.template_name, context, status=status)


class SignInCode(CodePage):
    """The second factor of a sign-in."""

    title, submit, purpose = "Enter the code", "Sign in", "sign_in"

    def dispatch(self, request):
        self.half = half_signed_in(request)
        if self.half is None:
            messages.info(request, "Please sign in again.")
            return onwards("sign-in", next_page(request))
        return super().dispatch(request)

    def user(self):
        return self.half

    def accept(self, two_factor, form):
        # The purpose keeps a number that waits to be confirmed from being turned on here.
        answer = two_factor.verify(form.cleaned_data["code"], "sign_in")
        next_url = next_page(self.request)
        sign_in(self.request, self.half, answer["method"])
        if failed := answer.get("failed_attempts"):
            last = naturaltime(datetime.fromisoformat(answer["last_failed_at"]))
            codes = "1 wrong code was" if failed == 1 else f"{failed} wrong codes were"
            messages.warning(self.request, f"{codes} entered since you last signed in, the last {last}.")
        offer_backup_codes(self.request)
        return redirect(next_url)


class StepUp(LoginRequiredMixin, CodePage):
    """A second factor again, for what `second_factor_required` guards."""

    title, submit, purpose = "Confirm that it is you", "Confirm", "confirm"

    def get(self, request):
        try:
            if not service(request).status()["enabled"]:
                messages.info(request, "This takes two-factor authentication. Turn it on first.")
                return redirect("enroll")
        except Refused as refused:
            tell_refused(request, refused)
        return super().get(request)

    def accept(self, two_factor, form):
        answer = two_factor.verify(form.cleaned_data["code"], "confirm")
        proven(self.request, answer["method"])
        return redirect(next_page(self.request))


@never_cache
@login_required
def security(request):
    """Where the user stands."""
    try:
        context = {"standing": service(request).status()}
    except Refused as refused:
        context = {"problem": explain(refused).sentence}
    context["amr"] = request.session.get("amr", [])
    return render(request, "second_factor/security.html", context)


@method_decorator(never_cache, name="dispatch")
class Enroll(LoginRequiredMixin, View):
    """The first number."""

    def get(self, request):
        return self.page(EnrollForm(request.user))

    def post(self, request):
        form = EnrollForm(request.user, request.POST)
        if not form.is_valid():
            return self.page(form, status=400)
        try:
            answer = service(request).setup(form.cleaned_data["phone"])
        except Refused as refused:
            if refused.code == "verification_required":
                # There is a number, so it is replaced; that takes a code.
                return redirect("change-number")
            form.add_error("phone", explain(refused).sentence)
            return self.page(form, status=refused.status)
        tell_sent(request, answer)
        return redirect("confirm-number")

    def page(self, form, status=200):
        return render(self.request, "second_factor/enroll.html", {"form": form}, status=status)


@require_POST
@login_required
def cancel_enrollment(request):
    """Drops a number that was never confirmed. A number that is on stays: without a code this cannot turn it off."""
    try:
        service(request).turn_off()
    except Refused as refused:
        tell_refused(request, refused)
    return redirect("security")


class ConfirmNumber(LoginRequiredMixin, CodePage):
    """The code that came to a new number: the first one, or one in the place of another."""

    title, submit, takes_backup_code = "Confirm the number", "Confirm", False

    @property
    def purpose(self):
        try:
            return "replace" if service(self.request).status()["enabled"] else "enroll"
        except Refused:
            return "enroll"

    def accept(self, two_factor, form):
        answer = two_factor.verify(form.cleaned_data["code"], self.purpose)
        proven(self.request, "sms")
        return show_backup_codes(self.request, answer, "Two-factor authentication is on")


class ChangeNumber(LoginRequiredMixin, CodePage):
    """A new number, which takes a code that came to the old one, or a backup code."""

    title, submit, purpose, form_class = "Change the number", "Go on", "change", ChangeNumberForm

    def accept(self, two_factor, form):
        tell_sent(self.request, two_factor.setup(form.cleaned_data["phone"], form.cleaned_data["code"]))
        return redirect("confirm-number")


class TurnOff(LoginRequiredMixin, CodePage):
    """Turning it off, which takes a code."""

    title, submit, purpose = "Turn two-factor authentication off", "Turn it off", "change"

    def accept(self, two_factor, form):
        two_factor.turn_off(form.cleaned_data["code"])
        proven(self.request, None)
        messages.success(self.request, "Two-factor authentication is off.")
        return redirect("security")


class NewBackupCodes(LoginRequiredMixin, CodePage):
    """New backup codes in the place of the old ones, which takes a code."""

    title, submit, purpose = "New backup codes", "Make new ones", "change"

    def accept(self, two_factor, form):
        answer = two_factor.verify(form.cleaned_data["code"], "change", regenerate_backup_codes=True)
        return show_backup_codes(self.request, answer, "New backup codes")
