import os

from tests.benchmarks.projects import common

os.environ.update(
    DEBUG="false",
    SECRET_KEY=common.SECRET_KEY,
    ORIGIN="https://localhost",
    EMAIL_URL="dummymail://",
    TOKENS_ACCESS_LIFETIME=str(int(common.ACCESS_LIFETIME.total_seconds())),
)

from config.settings import *  # noqa: F403
from tests.benchmarks.projects.common import (  # noqa: F401
    ALLOWED_HOSTS,
    DATABASES,
    LOGGING,
    PASSWORD_HASHERS,
)

ROOT_URLCONF = "tests.benchmarks.projects.latchkey.urls"
MIDDLEWARE = [
    "tokens.middleware.TokenMiddleware" if name == common.AUTHENTICATION_MIDDLEWARE else name
    for name in common.MIDDLEWARE
]
