from tests.benchmarks.projects import common
from tests.benchmarks.projects.common import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.projects.simplejwt.urls"
INSTALLED_APPS = [
    *common.INSTALLED_APPS,
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
]
REST_FRAMEWORK = {
    **common.REST_FRAMEWORK,
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": common.ACCESS_LIFETIME,
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}
