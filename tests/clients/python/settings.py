"""The project's settings with the cheapest hashes of passwords: each test here signs in."""

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
