"""The project's own settings, without logs, and with cheap password hashing.

With the real cost of Argon2, many sign-ins at a time would take longer on a busy machine than a request may wait.
"""

from config.settings import *  # noqa: F403

LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}}
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
