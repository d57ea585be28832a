"""System checks.

- ``accounts.W001``: the accounts of the demo are in the database, and DEBUG is off.
- ``accounts.W002``: users share an e-mail address.
- ``accounts.W003``: nobody can register, because new users need more than the registration asks for.
- ``accounts.W004``: users have no e-mail address.
- ``accounts.W050``: `tokens` is not in INSTALLED_APPS.
- ``accounts.W051``, ``W052``: the pages, or the API, are not in the URLs.
- ``accounts.W053``: LOGIN_URL leads nowhere.
"""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections, router
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, get_script_prefix, resolve, reverse

from accounts import addresses, demo_accounts, login_urls, users

_ONLY_THE_MODEL = "If you use only the user model, silence this check."


@register(Tags.database)
def check_demo_accounts(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the accounts whose password is published are not in the database of a production server."""
    email = users.address_field()
    if settings.DEBUG or email is None or not _has_column(email, databases):
        return []
    rows = _rows().filter(**{f"{email}__in": demo_accounts.FLAGS}).order_by(email)
    found = ", ".join(rows.values_list(email, flat=True))
    if not found:
        return []
    hint = "Their password is published, so they cannot sign in while DEBUG is off. Delete them."
    return [Warning(f"The accounts of the demo are in the database: {found}.", hint=hint, id="accounts.W001")]


@register(Tags.database)
def check_shared_addresses(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that no two users have the same address, where the user model itself does not see to it."""
    email = users.address_field()
    if email is None or users.are_addresses_unique() or not _has_column(email, databases):
        return []
    count = addresses.shared(_rows(), email).count()
    if not count:
        return []
    hint = "`manage.py canonical_addresses` lists their users. Delete all but one, or give them other addresses."
    what = f"Several users share an e-mail address ({count} such), which signs in, resets and registers nobody."
    return [Warning(what, hint=hint, id="accounts.W002")]


@register
def check_registration(**kwargs: Any) -> list[CheckMessage]:
    """Check that the registration asks for all that a new user needs."""
    if not users.has_addresses() or users.can_register():
        return []
    label, missing = get_user_model()._meta.label, ", ".join(users.missing_fields())
    hint = "Give these fields a default, or make users in a view of your own. Silence this check if that is intended."
    what = f"Nobody can register: {label} requires fields that the registration does not ask for: {missing}."
    return [Warning(what, hint=hint, id="accounts.W003")]


@register
def check_addresses(**kwargs: Any) -> list[CheckMessage]:
    """Check that users have an e-mail address."""
    if users.has_addresses():
        return []
    label = get_user_model()._meta.label
    without = "So there is no registration, no reset of the password, no notice of a new device, and no alarm."
    hint = "Add an e-mail field to the model, and name it in EMAIL_FIELD. Silence this check if that is intended."
    return [Warning(f"{label} has no e-mail field. {without}", hint=hint, id="accounts.W004")]


def _rows() -> Any:
    """Return all users. The project's own manager may filter by a column that a migration has yet to add."""
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def _has_column(name: str, databases: Any) -> bool:
    """Return whether this field of the users is stored already, in one of these databases.

    ``migrate`` runs the checks before the migrations that add tables and columns.
    """
    model = get_user_model()
    alias = router.db_for_write(model)
    field: Any = model._meta.get_field(name)
    if alias not in (databases or ()):
        return False
    introspection = connections[alias].introspection
    with connections[alias].cursor() as cursor:
        if not {model._meta.db_table, field.model._meta.db_table} <= set(introspection.table_names(cursor)):
            return False
        columns = introspection.get_table_description(cursor, field.model._meta.db_table)
    return field.column in {column.name for column in columns}


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
    elif not login_urls.leads_somewhere(settings.LOGIN_URL):
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
