"""The pages of the second factor, and the service's own URLs for front ends that call them already."""

from django.contrib.auth.views import LogoutView
from django.urls import path, re_path

from . import forward, views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/code/", views.SignInCode.as_view(), name="sign-in-code"),
    path("sign-out/", LogoutView.as_view(next_page="sign-in"), name="sign-out"),
    path("step-up/", views.StepUp.as_view(), name="step-up"),
    path("security/", views.security, name="security"),
    path("security/enroll/", views.Enroll.as_view(), name="enroll"),
    path("security/enroll/cancel/", views.cancel_enrollment, name="cancel-enrollment"),
    path("security/confirm-number/", views.ConfirmNumber.as_view(), name="confirm-number"),
    path("security/number/", views.ChangeNumber.as_view(), name="change-number"),
    path("security/off/", views.TurnOff.as_view(), name="turn-off"),
    path("security/backup-codes/", views.NewBackupCodes.as_view(), name="backup-codes"),
    re_path(r"^api/v1/auth/2fa/(?P<endpoint>setup|send-sms|verify)/?$", forward.forward, name="forward"),
]
