"""The project, beside an app that signs people in by ways of its own: see `tests.browser.device_bound.urls`."""

from tests.browser.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.device_bound.urls"
