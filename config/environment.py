"""Turns the variables DATABASE_URL, REPLICA_URL, CACHE_URL and EMAIL_URL into Django's settings."""

import re
import warnings
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import django
import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

MAIL_TIMEOUT = 10
"""Seconds that a mail server may take for each step."""
MAILBOX = "config.demo.mailbox.EmailBackend"
"""The backend of ``mailbox://``: the console, and a page that shows the mails."""

_CACHE_OPTIONS: dict[str, dict[str, Any]] = {
    # Seconds. Requests do not wait longer for the cache: what it does not answer in time is not throttled.
    "RedisCache": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    # More entries than an attacker can fill by guessing. Otherwise new counts would displace old ones.
    "LocMemCache": {"MAX_ENTRIES": 100_000},
}
_MAIL_OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
    "EMAIL_TIMEOUT": "timeout",
    "EMAIL_FILE_PATH": "file_path",
}
"""Django's settings up to 6.0, and the names of the same options in MAILERS from 6.1 on."""


def whole_number(name: str, default: int) -> int:
    """Return the whole number in an environment variable. Raise `ImproperlyConfigured` for anything else."""
    try:
        return int(env.int(name, default=default))
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a whole number.") from None


def host_of(origin: str) -> str:
    """Return the host of an origin, as it is in a Host header: an IPv6 address in brackets."""
    host, closed, _ = origin.partition("//")[2].partition("]")
    return host + closed if closed else host.partition(":")[0]


def mail_domain(host: str) -> str:
    """Return this host as the domain of an address: an IPv6 address as RFC 5321 section 4.1.3 writes it."""
    return host.replace("[", "[IPv6:", 1)


def public_debug(origin: str, hosts: Sequence[str]) -> str:
    """Return what is wrong with DEBUG at this https origin, or "". ``hosts`` are those that the operator allows.

    With DEBUG anybody who reaches the site reads its settings in error pages, and signs in to the demo's accounts.
    """
    try:
        found = urlsplit(origin)
        host = found.hostname or ""
    except ValueError:
        return ""  # The system checks report it.
    is_local = host == "localhost" or host.endswith((".localhost", ".test"))
    if found.scheme != "https" or is_local or host in {name.strip().lower() for name in hosts}:
        return ""
    return (
        f"DEBUG is on, and ORIGIN is {found.scheme}://{found.netloc.rpartition('@')[2]}. Set DEBUG to false. "
        f"If only developers can reach this host, set DEBUG_HOSTS to {host}."
    )


def database_settings(variable: str, example: str, *engines: str, **options: str) -> dict[str, Any]:
    """Return the entry of DATABASES for the URL in an environment variable.

    ``example`` is shown in the error. ``engines`` are the names of Django's backends that are allowed.
    """
    try:
        with warnings.catch_warnings():
            # django-environ only warns about some mistakes, such as a host before the path of SQLite.
            warnings.simplefilter("error", UserWarning)
            found: dict[str, Any] = env.db_url(variable, **options)
    except (ValueError, UserWarning):
        found = {}
    if found.get("ENGINE", "").removeprefix("django.db.backends.") not in engines:
        raise ImproperlyConfigured(f"{variable} cannot be read. Write {example}.")
    return found


def postgresql(found: dict[str, Any], *, pool: int, wait: int, timeout: int) -> dict[str, Any]:
    """Return the entry of DATABASES with connections that respect the deadline of the request.

    ``pool``: connections in the pool, or 0. ``wait``: seconds to wait for one. ``timeout``: DATABASE_TIMEOUT, in
    seconds.
    """
    options: dict[str, Any] = {
        "connect_timeout": min(5, wait),
        # A network that drops every packet is also noticed by commands, and by connections that are idle.
        "tcp_user_timeout": 1000 * timeout,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    if pool:
        # The pool gives up soon, and the next request lets it try again. Otherwise its pauses would double in an
        # outage.
        options["pool"] = {"min_size": 1, "max_size": pool, "timeout": wait, "reconnect_timeout": 3}
    return {**found, "ENGINE": "config.postgresql", "OPTIONS": {**found.get("OPTIONS", {}), **options}}


def cache_settings(url: str) -> dict[str, Any]:
    """Return the entry of CACHES for a URL. Options in the URL take precedence.

    ``redis://host:6379`` is Redis or Valkey, ``rediss://`` the same over TLS, and ``redis:///path/to/socket`` a local
    socket. ``locmemcache://`` is the memory of this process.
    """
    try:
        # Valkey speaks Redis's protocol, and has a scheme of its own.
        found: dict[str, Any] = environ.Env.cache_url_config(re.sub("^valkey", "redis", url))
    except (ImproperlyConfigured, KeyError):
        raise ImproperlyConfigured("CACHE_URL cannot be read. Write redis://host:6379, or locmemcache://.") from None
    ours = _CACHE_OPTIONS.get(found["BACKEND"].rpartition(".")[2], {})
    return {**found, "OPTIONS": {**ours, **found.get("OPTIONS", {})}}


def mail_settings(url: str) -> dict[str, Any]:
    """Return Django's settings for a URL, as this version of Django reads them.

    Examples: ``smtp+tls://user:password@host:587``, ``filemail:///directory``, ``consolemail://``, ``mailbox://``.
    """
    try:
        found = environ.Env.email_url_config(url, MAILBOX if url == "mailbox://" else None)
    except (ValueError, ImproperlyConfigured):
        raise ImproperlyConfigured(
            "EMAIL_URL cannot be read. Write smtp+tls://user:password@host:587, the same with smtp+ssl:// or smtp://, "
            "or consolemail:// to see mails in the log."
        ) from None
    backend = found["EMAIL_BACKEND"]
    kept: tuple[str, ...] = ("EMAIL_FILE_PATH",) if "filebased" in backend else ()
    if backend.endswith("smtp.EmailBackend"):
        found["EMAIL_TIMEOUT"] = MAIL_TIMEOUT
        kept = tuple(name for name in _MAIL_OPTIONS if name != "EMAIL_FILE_PATH")
    given = {name: found[name] for name in kept if found.get(name)}
    if "EMAIL_FILE_PATH" in given:
        given["EMAIL_FILE_PATH"] = f"/{given['EMAIL_FILE_PATH']}"
    if django.VERSION >= (6, 1):
        options = {_MAIL_OPTIONS[name]: value for name, value in given.items()}
        return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    return {"EMAIL_BACKEND": backend, **given}
