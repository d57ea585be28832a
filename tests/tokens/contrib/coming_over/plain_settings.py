"""The project with djangorestframework-simplejwt as many have it: without its app ``token_blacklist``."""

from tests.tokens.contrib.coming_over.settings import *  # noqa: F403
from tests.tokens.contrib.coming_over.settings import INSTALLED_APPS

INSTALLED_APPS.remove("rest_framework_simplejwt.token_blacklist")
ROOT_URLCONF = "tests.tokens.contrib.coming_over.urls"
