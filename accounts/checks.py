"""System checks.

- ``accounts.W001``: the accounts of the demo are in the database, and DEBUG is off.
- ``accounts.W050``: `tokens` is not in INSTALLED_APPS.
- ``accounts.W051``, ``W052``: the pages, or the API, are not in the URLs.
- ``accounts.W053``: LOGIN_URL leads nowhere.
"""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, get_script_prefix, resolve, reverse

from accounts import demo_accounts, links
from accounts.models import User

_ONLY_THE_MODEL = "If you use only the user model, silence this check."


@register(Tags.database)
def check_demo_accounts(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the accounts whose password is published are not in the database of a production server."""
    alias = router.db_for_write(User)
    if settings.DEBUG or alias not in (databases or ()):
        return []
    if User._meta.db_table not in connections[alias].introspection.table_names():
        return []
    rows = User.objects.using(alias).filter(email__in=demo_accounts.FLAGS).order_by("email")
    found = ", ".join(rows.values_list("email", flat=True))
    if not found:
        return []
    hint = "Their password is published, so they cannot sign in while DEBUG is off. Delete them."
    return [Warning(f"The accounts of the demo are in the database: {found}.", hint=hint, id="accounts.W001")]


@register(Tags.security)
def check_steps(**kwargs: Any) -> list[CheckMessage]:
    """Check that a project that uses the pages has `tokens`, all URLs, and a page for ``login_required``."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    if not apps.is_installed("tokens"):
        hint = "Add 'tokens' to INSTALLED_APPS. The pages and the API need it."
        return [Warning("tokens is not in INSTALLED_APPS.", hint=hint, id="accounts.W050")]
    messages: list[CheckMessage] = []
    if _path_of("alarm") is None:
        hint = 'Add path("", include("accounts.urls")). Without it, no mail has a link. ' + _ONLY_THE_MODEL
        messages.append(Warning("accounts.urls is not in the URLs.", hint=hint, id="accounts.W051"))
    elif not links.leads_somewhere(settings.LOGIN_URL):
        hint = 'Set LOGIN_URL = "sign-in". Django leads users there from views that require a sign-in.'
        what = f"LOGIN_URL is {str(settings.LOGIN_URL)!r}, which leads nowhere."
        messages.append(Warning(what, hint=hint, id="accounts.W053"))
    if _path_of("tokens:login") is not None:
        path = _path_of("accounts:register")
        found = None if path is None else _found_at(path)
        # In the other order the 404 of `tokens.api.urls` answers.
        if found is None or found.namespace != "accounts":
            hint = f'Add path("api/", include("accounts.api.urls")) before tokens.api.urls. {_ONLY_THE_MODEL}'
            what = "accounts.api.urls is not in the URLs, or stands after tokens.api.urls."
            messages.append(Warning(what, hint=hint, id="accounts.W052"))
    return messages


def _path_of(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _found_at(path: str) -> ResolverMatch | None:
    """Return the view at a path of this site, as clients send it."""
    try:
        return resolve(f"/{path.removeprefix(get_script_prefix())}")
    except Resolver404:
        return None
