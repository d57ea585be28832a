"""The project's settings as in production: DEBUG is off, and the site uses https. The changes help the tests."""

from config.environment import mail_settings
from config.settings import *  # noqa: F403

# The cheapest Argon2: the tests learn nothing from the real cost.
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
# Mails stay in memory, where `tests.browser.sites.Site.mails` reads them.
vars().update(mail_settings("memorymail://"))
# With views like those of a project that uses this one.
ROOT_URLCONF = "tests.browser.urls"
