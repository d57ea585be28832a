"""The settings of a project with one of the user models of this folder, or with Django's own."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [name for name in INSTALLED_APPS if name not in {"config.demo", "django.contrib.admin"}]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.accounts.people"]
ROOT_URLCONF = "tests.accounts.people.urls"
AUTH_USER_MODEL = os.environ["USER_MODEL"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
