SECRET_KEY = "for mypy"
ORIGIN = "http://localhost:8000"
AUTH_USER_MODEL = "accounts.User"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "accounts", "tokens"]
