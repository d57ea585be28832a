"""The settings of this project, except those that all peers share."""

import os

from tests.benchmarks.projects import settings as shared

os.environ.update(
    DEBUG="false",
    SECRET_KEY=shared.SECRET_KEY,
    ORIGIN="https://localhost",
    EMAIL_URL="dummymail://",
    TOKENS_THROTTLES="attempts_network=1000000/m",  # All clients are one network.
    TOKENS_ACCESS_LIFETIME=str(int(shared.ACCESS_LIFETIME.total_seconds())),
)

from config.settings import *  # noqa: F403

ALLOWED_HOSTS, DATABASES, LOGGING = shared.ALLOWED_HOSTS, shared.DATABASES, shared.LOGGING
PASSWORD_HASHERS, ROOT_URLCONF = shared.PASSWORD_HASHERS, shared.ROOT_URLCONF
_ours = {shared.AUTHENTICATION: "tokens.middleware.TokenMiddleware"}
MIDDLEWARE = [_ours.get(name, name) for name in shared.MIDDLEWARE]
