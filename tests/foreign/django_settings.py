"""Settings for Django's own test suite. With the environment variable ``OURS`` they name our backend and our origin."""

import os

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}, "other": {"ENGINE": "django.db.backends.sqlite3"}}
SECRET_KEY = "a secret for tests that is long enough to be taken for a real one"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
TEST_RUNNER = "tests.foreign.django_runner.Runner"

if os.environ.get("OURS"):
    ORIGIN = "https://testserver"
    AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]
    # Tests call `authenticate` hundreds of times for one name.
    TOKENS = {"THROTTLES": "off"}
