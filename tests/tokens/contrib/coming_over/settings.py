"""The project with djangorestframework-simplejwt, dj-rest-auth and knox, and with the aliases of all three."""

from datetime import timedelta

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REST_FRAMEWORK, TOKENS

ROOT_URLCONF = "tests.tokens.contrib.coming_over.urls"
INSTALLED_APPS += ["rest_framework_simplejwt.token_blacklist", "tokens.contrib.coming_over"]
TOKENS["MODES"] = ["cookie", "body"]
SIMPLE_JWT = {"REFRESH_TOKEN_LIFETIME": timedelta(days=7)}
REST_FRAMEWORK = {**REST_FRAMEWORK, "EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
