"""The site: two pages of its own, and the second factor's."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("payout/", views.payout, name="payout"),
    path("", include("second_factor.urls")),
]
