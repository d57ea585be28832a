"""The project's own settings, as in production (DEBUG off, https), with nothing from this machine's environment."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PG_URL = os.environ.pop("DATABASE_URL", "")
for name in [name for name in os.environ if name.startswith("TOKENS_")]:
    del os.environ[name]
SCRATCH = Path(tempfile.mkdtemp(prefix="latchkey-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
os.environ.update(
    DEBUG="false",
    SECRET_KEY="a secret for tests that is long enough to be taken for a real one",
    SECRET_KEY_FALLBACKS="",
    ORIGIN="https://testserver",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    TRUSTED_PROXIES="",
    DATABASE_URL=f"sqlite:///{SCRATCH}/unused.sqlite3",
    REPLICA_URL="",
    CACHE_URL="locmemcache://",
    TOKENS_THROTTLES="off",  # What tests do often is nothing to throttle; those about throttles switch them on.
)

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, INSTALLED_APPS  # noqa: E402

# A file, not memory: tests of concurrency share it between threads and processes.
DATABASES["default"]["TEST"] = {"NAME": str(SCRATCH / "test.sqlite3")}
# Argon2, at its cheapest: the real cost buys a test nothing.
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2", "tokens.hashers.PBKDF2"]
# Not among the project's own apps; its table is here so that the tests can run with it and without.
INSTALLED_APPS += ["django.contrib.sessions"]
# As with DEBUG on: tests of the demo include its URLs.
INSTALLED_APPS += ["config.demo"]
