"""The settings of the tests, in a project with the user model of Django: ``pytest --ds=tests.settings_auth_user``."""

from tests.settings import *  # noqa: F403

AUTH_USER_MODEL = "auth.User"
