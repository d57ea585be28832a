"""The project with django-allauth's ``headless`` and its JWTs."""

from tests.tokens.contrib.headless.settings import *  # noqa: F403
from tests.tokens.contrib.headless.settings import INSTALLED_APPS, TOKENS

INSTALLED_APPS += ["tokens.contrib.coming_over"]
TOKENS["MODES"] = ["cookie", "body"]
HEADLESS_JWT_ALGORITHM = "HS256"
HEADLESS_TOKEN_STRATEGY = "tokens.contrib.coming_over.allauth_jwt.TokenStrategy"
