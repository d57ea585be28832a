"""The project's own settings, and no log; passwords cost next to nothing, for many people sign in all the time."""

from config.settings import *  # noqa: F403

LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}}
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
