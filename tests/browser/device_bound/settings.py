"""The project, beside an app with its own ways to sign in: see `tests.browser.device_bound.urls`."""

from tests.browser.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.device_bound.urls"
