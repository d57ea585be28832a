from datetime import UTC, datetime
from typing import Any

from django.db import migrations, models


def _set_long_ago(apps: Any, schema_editor: Any) -> None:
    """Set times that are not known to a time that is never recent."""
    sessions = apps.get_model("tokens", "RefreshToken")._default_manager.using(schema_editor.connection.alias)
    sessions.filter(authenticated_at=None).update(authenticated_at=datetime(1970, 1, 1, tzinfo=UTC))


class Migration(migrations.Migration):
    """Let the time be unknown at which the user of a session authenticated, as for a sign-in moved over from Django."""

    dependencies = [("tokens", "0012_mail_dropped")]

    operations = [
        migrations.AlterField(
            model_name="refreshtoken",
            name="authenticated_at",
            field=models.DateTimeField(null=True, verbose_name="last authenticated"),
        ),
        migrations.RunPython(migrations.RunPython.noop, _set_long_ago),
    ]
