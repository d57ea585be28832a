from typing import Any
from uuid import UUID

from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

BATCH = 1000
"""Devices that one statement orders. A sign-in on one of them waits for the statement."""


def order_by_last_session(apps: Any, schema_editor: Any) -> None:
    """Order existing devices by their last session. A device on which somebody has signed in meanwhile has its place.

    Without a place, none of a user's devices comes before the others, and all have a budget of their own.
    """
    alias, last = schema_editor.connection.alias, UUID(int=0)
    sessions = apps.get_model("tokens", "RefreshToken").objects.filter(device=OuterRef("pk"), actor=None)
    newest = Subquery(sessions.order_by("-id").values("id")[:1])
    devices = apps.get_model("tokens", "Device").objects.using(alias).filter(last_sign_in=UUID(int=0))
    while ids := list(devices.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        # Each statement is a transaction.
        devices.filter(pk__in=ids).update(last_sign_in=Coalesce(newest, F("id")))
        last = ids[-1]


class AddIndex(migrations.AddIndex):
    """Make an index, on PostgreSQL while other transactions write to the table.

    It exists already if an earlier version of 0014 or 0015 was applied. If the operation was interrupted on PostgreSQL,
    an index that is not valid is left, and is made again.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection, how = schema_editor.connection, _how(schema_editor)
        if not self.allow_migrate_model(connection.alias, model):
            return
        with connection.cursor() as cursor:
            exists = is_valid = self.index.name in connection.introspection.get_constraints(
                cursor, model._meta.db_table
            )
            if exists and how:
                cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [self.index.name])
                [is_valid] = cursor.fetchone()
        if exists and not is_valid:
            schema_editor.remove_index(model, self.index, **how)
        if not is_valid:
            schema_editor.add_index(model, self.index, **how)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, **_how(schema_editor))


def _how(schema_editor: Any) -> dict[str, bool]:
    return {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}


class Migration(migrations.Migration):
    """Order existing devices, and make the indexes of 0014 and 0015, while users sign in and sessions are refreshed."""

    atomic = False
    dependencies = [("tokens", "0015_impersonation")]
    operations = [
        migrations.RunPython(order_by_last_session, migrations.RunPython.noop),
        AddIndex(
            model_name="device",
            index=models.Index(
                condition=Q(("forgotten", False)), fields=["user", "-last_sign_in"], name="tokens_device_latest"
            ),
        ),
        AddIndex(
            model_name="refreshtoken",
            index=models.Index(condition=~Q(actor=None), fields=["actor"], name="tokens_session_actor"),
        ),
        AddIndex(
            model_name="refreshtoken",
            index=models.Index(
                condition=~Q(actor_session_id=None), fields=["actor_session_id"], name="tokens_session_acts"
            ),
        ),
    ]
