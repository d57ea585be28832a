"""The least settings of a project that uses `tokens` without REST framework's views."""

SECRET_KEY = "a secret for tests that is long enough to be taken for a real one"
ORIGIN = "https://testserver"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "tokens"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
