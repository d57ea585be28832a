from tests.benchmarks.projects import common
from tests.benchmarks.projects.common import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.projects.knox.urls"
INSTALLED_APPS = [*common.INSTALLED_APPS, "rest_framework", "knox"]
REST_FRAMEWORK = {
    **common.REST_FRAMEWORK,
    "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
}
