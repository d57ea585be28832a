"""Where mail goes: ``EMAIL_URL``, as the settings that this version of Django reads."""

from typing import Any

import django
import environ
from django.core.exceptions import ImproperlyConfigured

TIMEOUT = 10
"""Seconds that a mail server may take for each step."""

MAILBOX = "config.mailbox.EmailBackend"
"""What ``mailbox://`` means: the console, and a page that shows the mails."""

_OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
    "EMAIL_TIMEOUT": "timeout",
    "EMAIL_FILE_PATH": "file_path",
}


def mail_settings(url: str) -> dict[str, Any]:
    """Return the settings for this URL: ``smtp+tls://user:password@host:587``, ``filemail:///directory``, ``consolemail://``."""
    try:
        found = environ.Env.email_url_config(url, MAILBOX if url == "mailbox://" else None)
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(
            "EMAIL_URL cannot be read. Write smtp+tls://user:password@host:587, smtp+ssl:// or smtp:// likewise, "
            "or consolemail:// to see mails in the log."
        ) from None
    backend = found["EMAIL_BACKEND"]
    kept: tuple[str, ...] = ("EMAIL_FILE_PATH",) if "filebased" in backend else ()
    if backend.endswith("smtp.EmailBackend"):
        found["EMAIL_TIMEOUT"] = TIMEOUT
        kept = tuple(name for name in _OPTIONS if name != "EMAIL_FILE_PATH")
    given = {name: found[name] for name in kept if found.get(name)}
    if "EMAIL_FILE_PATH" in given:
        given["EMAIL_FILE_PATH"] = f"/{given['EMAIL_FILE_PATH']}"
    if django.VERSION >= (6, 1):
        options = {_OPTIONS[name]: value for name, value in given.items()}
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    return {"EMAIL_BACKEND": backend, **given}
