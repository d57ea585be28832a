"""The application for WSGI servers in production: what a request may need is imported before the first one comes.

Everything else imports it at its use, so that commands and development take no longer to start than they must. There
the first request of a process, the first of them to the API, and the first that is signed in wait for it.
"""

from importlib import import_module

from config.wsgi import application

__all__ = ["application"]

for name in ("config.urls", "accounts.api.views", "tokens.api.views", "tokens.api.introspection", "jwt"):
    import_module(name)
