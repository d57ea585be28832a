"""The project with an app beside it: see `tests.browser.session.urls`."""

from tests.browser.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.session.urls"
