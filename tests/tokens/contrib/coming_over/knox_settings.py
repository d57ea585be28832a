"""The project with knox."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REST_FRAMEWORK, TOKENS

ROOT_URLCONF = "tests.tokens.contrib.coming_over.knox_urls"
INSTALLED_APPS += ["knox", "tokens.contrib.coming_over"]
TOKENS["MODES"] = ["cookie", "body"]
REST_FRAMEWORK = {**REST_FRAMEWORK, "EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
