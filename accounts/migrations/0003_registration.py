"""Registrations get a table of their own. An account that was never confirmed becomes a registration."""

from datetime import timedelta
from typing import Any

import uuid_utils.compat
from django.db import IntegrityError, migrations, models, transaction
from django.db.models import ProtectedError, RestrictedError
from django.utils import timezone

from accounts.addresses import MAX_ADDRESS, canonical

LINKS_LAST = timedelta(days=3)
"""The lifetime of the links that were sent before. They name the account, whose primary key the registration gets."""
BATCH = 500


def convert(apps: Any, schema_editor: Any) -> None:
    """Turn accounts that were never confirmed into registrations.

    An account stays as it is, and inactive, if rows of another app keep it from being deleted.
    """
    if apps.get_model("accounts", "User")._meta.swapped:
        return  # The project has a user model of its own, and accounts of such a release are not among its users.
    alias, expires_at = schema_editor.connection.alias, timezone.now() + LINKS_LAST
    users = apps.get_model("accounts", "User")._base_manager.using(alias)
    registrations = apps.get_model("accounts", "Registration")._base_manager.using(alias)
    unconfirmed = users.filter(
        is_active=False, email_confirmed_at=None, last_login=None, is_staff=False, is_superuser=False
    ).order_by("pk")
    batch = list(unconfirmed[:BATCH])
    while batch:
        gone = _delete(users, [user.pk for user in batch], schema_editor.connection)
        registrations.bulk_create(
            registrations.model(
                id=user.pk,
                email=user.email,
                canonical_address=canonical(user.email)[:MAX_ADDRESS],
                password=user.password,
                expires_at=expires_at,
            )
            for user in batch
            if user.pk in gone
        )
        batch = list(unconfirmed.filter(pk__gt=batch[-1].pk)[:BATCH])


def _delete(users: Any, pks: list[Any], connection: Any) -> set[Any]:
    """Delete these users, and return those that could be deleted."""
    try:
        with transaction.atomic(using=users.db):
            users.filter(pk__in=pks).delete()
            if connection.vendor == "postgresql":
                connection.check_constraints()  # Here and not at the commit, so that an error can be handled.
    except (ProtectedError, RestrictedError, IntegrityError):
        return set().union(*(_delete(users, [pk], connection) for pk in pks)) if len(pks) > 1 else set()
    return set(pks)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_few_among_many"),
    ]

    operations = [
        migrations.CreateModel(
            name="Registration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("canonical_address", models.CharField(db_index=True, max_length=254)),
                ("password", models.CharField(max_length=128)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        # Reversed, the registrations are lost. Their owners can register again.
        migrations.RunPython(convert, migrations.RunPython.noop),
    ]
