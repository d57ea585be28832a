"""The project's own settings as in production (no DEBUG, https), without this machine's environment variables."""

import atexit
import os
import shutil
import tempfile
from importlib.util import find_spec
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
    TOKENS_THROTTLES="off",  # Many tests repeat a request often. Tests of throttles switch them on.
)

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, INSTALLED_APPS  # noqa: E402

# A file, because tests of concurrency share it between threads and processes.
DATABASES["default"]["TEST"] = {"NAME": str(SCRATCH / "test.sqlite3")}
# The cheapest ones. The real ones would only make the tests slower.
PASSWORD_HASHERS = ["tests.hashers.CheapArgon2", "tests.hashers.CheapPBKDF2"]
# The project does not use Django's sessions. The table is there for tests of projects that do.
INSTALLED_APPS += ["django.contrib.sessions"]
# Installed only with DEBUG. It is here for the tests of the demo, which include its URLs.
INSTALLED_APPS += ["config.demo"] if find_spec("config.demo") else []
