from tests.benchmarks.projects.common import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.projects.sessions.urls"
LOGIN_REDIRECT_URL = "/view"
