from tests.benchmarks.projects import common
from tests.benchmarks.projects.allauth.settings import *  # noqa: F403
from tests.benchmarks.projects.allauth.settings import _AUTHENTICATION

REST_FRAMEWORK = {
    **common.REST_FRAMEWORK,
    "DEFAULT_AUTHENTICATION_CLASSES": [f"{_AUTHENTICATION}.JWTTokenAuthentication"],
}
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"
HEADLESS_JWT_ALGORITHM = "HS256"  # The cheaper of its two; RS256 is the default.
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = int(common.ACCESS_LIFETIME.total_seconds())
HEADLESS_JWT_ROTATE_REFRESH_TOKEN = True
