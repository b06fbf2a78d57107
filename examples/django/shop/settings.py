"""A small site with a second factor. What is of interest is below `The second factor`; the rest is Django's usual."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# DJANGO_SECRET_KEY makes it a site for production: then everything that development takes for granted has to be given.
DEBUG = "DJANGO_SECRET_KEY" not in os.environ
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "for development only: whoever knows it can sign sessions")
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "second_factor",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LANGUAGE_CODE = "en-us"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_REFERRER_POLICY = "same-origin"

# The second factor.
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
# So that a front end that calls /api/v1/auth/2fa/ without a CSRF token gets a problem document, too.
CSRF_FAILURE_VIEW = "second_factor.forward.csrf_failure"
# Where the service is.
TWO_FACTOR_URL = os.environ.get("TWO_FACTOR_URL", "http://127.0.0.1:3000")
# What the service has as AUTH_JWT_SECRET: at least 32 bytes, and not the SECRET_KEY above. Development has one built in.
TWO_FACTOR_TOKEN_SECRET = (
    os.environ.get("TWO_FACTOR_TOKEN_SECRET", "development-only-jwt-secret-0123456789abcdef")
    if DEBUG
    else os.environ["TWO_FACTOR_TOKEN_SECRET"]
)
# The program that `import_two_factor_phones` hands the numbers to; it takes the service's settings from the environment.
TWO_FACTOR_DOCTOR = os.environ.get("TWO_FACTOR_DOCTOR", "doctor")
