"""A site with an app of its own beside the project: see `tests.browser.session.urls`."""

from tests.browser.settings import *  # noqa: F403

ROOT_URLCONF = "tests.browser.session.urls"
