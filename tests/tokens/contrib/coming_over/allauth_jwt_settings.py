"""The project with django-allauth's ``headless`` and its JWTs."""

from tests.docs.blocks import block
from tests.docs.code import settings_of
from tests.tokens.contrib.headless.settings import *  # noqa: F403
from tests.tokens.contrib.headless.settings import INSTALLED_APPS, TOKENS

BLOCK = block("docs/how-to/moving/allauth.md", "# settings.py, coming from django-allauth")
_documented = settings_of(BLOCK, INSTALLED_APPS=INSTALLED_APPS)
INSTALLED_APPS = _documented["INSTALLED_APPS"]
TOKENS["MODES"] = ["cookie", "body"]
HEADLESS_JWT_ALGORITHM = "HS256"
HEADLESS_TOKEN_STRATEGY = _documented["HEADLESS_TOKEN_STRATEGY"]
