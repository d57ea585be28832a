"""Checks of the databases, the triggers and the schemas of tenants."""

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from tokens.conf import read
from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.service import triggers

SCHEMA_PACKAGES = "django_tenants", "tenant_schemas", "django_pgschemas"
"""The packages whose database backend selects a schema for each tenant."""


@register(Tags.database)
def check_database(**kwargs: Any) -> list[CheckMessage]:
    """Check that the revocation feed supports the database."""
    alias = writer(RefreshToken)
    vendor = connections[alias].vendor
    if vendor == "sqlite" and connections[alias].settings_dict.get("TIME_ZONE"):
        what = f'DATABASES["{alias}"] has a TIME_ZONE, in which SQLite stores times without saying so'
        hint = "Remove it: an hour of each year comes twice there. Django shows times in the TIME_ZONE of the settings."
        return [Error(f"{what}.", hint=hint, id="tokens.E040")]
    if vendor in {"postgresql", "sqlite"}:
        return []
    return [Error(f"{vendor} is not supported.", hint="Use PostgreSQL 15 or newer, or SQLite.", id="tokens.E009")]


@register(Tags.security)
def check_router(**kwargs: Any) -> list[CheckMessage]:
    """Check that users and all our tables are in one database: they are joined, and written in one transaction."""
    alias = writer(RefreshToken)
    others = {
        model._meta.label: found
        for model in (get_user_model(), *apps.get_app_config("tokens").get_models())
        if (found := writer(model)) != alias
    }
    hint = "Let db_for_write of your DATABASE_ROUTERS return the same database for the user model as for our models."
    return [
        Error(f"{label} is written to {found!r}, but sessions to {alias!r}.", hint=hint, id="tokens.E041")
        for label, found in others.items()
    ]


@register(Tags.security)
def check_tenants(**kwargs: Any) -> list[CheckMessage]:
    """Check that the tenant of a request is named where each tenant has a schema, and that users are in it too."""
    engine = str(settings.DATABASES.get(writer(RefreshToken), {}).get("ENGINE"))
    if not {engine.partition(".")[0], *settings.INSTALLED_APPS}.intersection(SCHEMA_PACKAGES):
        return []
    if not read()[0].tenant_hook:
        hint = "Set TENANT_HOOK to a function such as: def tenant(request): return request.tenant.schema_name"
        what = "Each tenant has a schema, but tokens of one tenant are good at another"
        return [Warning(f"{what}.", hint=hint, id="tokens.W054")]
    if _lists_of(apps.get_app_config("tokens")) == _lists_of(get_user_model()._meta.app_config):
        return []
    hint = "List tokens and the app of the user model in the same of SHARED_APPS and TENANT_APPS."
    what = "Sessions and users are in different schemas: changes of users by SQL or by querysets end no session"
    return [Warning(f"{what}.", hint=hint, id="tokens.W054")]


def _lists_of(app: AppConfig) -> set[str]:
    """Return which of the lists of django-tenants name an app, by its module or by its configuration."""
    names = {app.name, f"{type(app).__module__}.{type(app).__qualname__}"}
    return {name for name in ("SHARED_APPS", "TENANT_APPS") if names.intersection(getattr(settings, name, ()))}


@register(Tags.database)
def check_triggers(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the triggers are installed, when all migrations have been applied."""
    alias = writer(RefreshToken)
    if alias not in (databases or ()) or not triggers.has_tables(alias):
        return []
    hint = "Run `manage.py migrate` as a role that may create triggers on these tables."
    what = "Changes of users by SQL or by querysets end no session until its next refresh"
    return [Warning(f"{what}: {name} is missing.", hint=hint, id="tokens.W006") for name in triggers.missing(alias)]
