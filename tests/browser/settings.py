"""The project's own settings, as in production: DEBUG off, https. What is changed saves time, or lets a test look."""

from config.mail import mail_settings
from config.settings import *  # noqa: F403

# Argon2, at its cheapest: the real cost buys a test nothing.
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
# Mails are kept where `tests.browser.sites.Site.mails` finds them.
vars().update(mail_settings("memorymail://"))
# With views that stand for a project's own.
ROOT_URLCONF = "tests.browser.urls"
