"""The same project with Django REST framework, and a view made with it."""

from tests.benchmarks.bare.settings import *  # noqa: F403
from tests.benchmarks.bare.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework"]
ROOT_URLCONF = "tests.benchmarks.bare.rest_urls"
