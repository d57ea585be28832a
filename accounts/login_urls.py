"""Where the settings LOGIN_URL and LOGIN_REDIRECT_URL lead."""

from typing import Any

from django.conf import settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse


def login_url() -> str:
    """Return LOGIN_URL. If it leads nowhere, as Django's default does, return our own page to sign in."""
    return str(settings.LOGIN_URL) if leads_somewhere(settings.LOGIN_URL) else reverse("sign-in")


def leads_somewhere(target: Any) -> bool:
    """Return whether a setting such as LOGIN_URL is the URL of another site, or leads to a view of this one."""
    try:
        path = resolve_url(str(target)).partition("?")[0]
        if path.startswith("/") and not path.startswith("//"):
            resolve(f"/{path.removeprefix(get_script_prefix())}")
    except (NoReverseMatch, Resolver404):
        return False
    return True
