from tests.benchmarks.projects import common
from tests.benchmarks.projects.common import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.projects.views"
MIDDLEWARE = [name for name in common.MIDDLEWARE if name != common.AUTHENTICATION_MIDDLEWARE]
