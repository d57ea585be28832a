"""The project with knox."""

from tests.docs.blocks import block
from tests.docs.code import settings_of
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REST_FRAMEWORK, TOKENS

ROOT_URLCONF = "tests.tokens.contrib.coming_over.knox_urls"
BLOCK = block("docs/how-to/moving/knox.md", "# settings.py, coming from knox")
_documented = settings_of(BLOCK, INSTALLED_APPS=[*INSTALLED_APPS, "knox"], REST_FRAMEWORK={**REST_FRAMEWORK})
INSTALLED_APPS = _documented["INSTALLED_APPS"]
TOKENS = {**TOKENS, **_documented["TOKENS"], "MODES": ["cookie", "body"]}
REST_FRAMEWORK = {**_documented["REST_FRAMEWORK"], "EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
