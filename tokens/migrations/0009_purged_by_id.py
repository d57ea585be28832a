from datetime import UTC
from typing import Any

from django.db import migrations, models
from django.db.models.functions import Coalesce, Least, TruncDate


def _fill(apps: Any, schema_editor: Any) -> None:
    ended_at = Coalesce("revoked_at", Least("idle_expires_at", "expires_at"))
    sessions = apps.get_model("tokens", "RefreshToken")._default_manager.using(schema_editor.connection.alias)
    sessions.update(ends_on=TruncDate(ended_at, tzinfo=UTC))


class Migration(migrations.Migration):
    """Remove the column, because the purge uses ids. When this is undone, the column is empty until it is filled."""

    dependencies = [
        ("tokens", "0008_device_bound"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="refreshtoken", name="tokens_session_ends_on"),
        migrations.AlterField(
            model_name="refreshtoken", name="ends_on", field=models.DateField(null=True, verbose_name="ends on")
        ),
        migrations.RunPython(migrations.RunPython.noop, _fill),
        migrations.RemoveField(model_name="refreshtoken", name="ends_on"),
    ]
