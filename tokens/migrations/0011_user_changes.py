from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from tokens.service import triggers


def _remove_triggers(apps: Any, schema_editor: Any) -> None:
    """Remove the triggers, which would fail without the table that they write to."""
    triggers.remove(schema_editor.connection.alias)


class Migration(migrations.Migration):
    """Add rows of users to the revocations, and announced rehashes. The triggers are installed after `migrate`."""

    dependencies = [
        ("tokens", "0010_seldom_analyzed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="revocation",
            name="user_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=255, verbose_name="user"),
        ),
        migrations.AlterField(
            model_name="revocation",
            name="session_id",
            field=models.UUIDField(null=True, verbose_name="session"),
        ),
        migrations.CreateModel(
            name="Rehash",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("old_digest", models.BinaryField(max_length=32)),
                ("new_digest", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField(db_index=True, verbose_name="when")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "rehash",
                "verbose_name_plural": "rehashes",
            },
        ),
        # `post_migrate` installs the triggers.
        migrations.RunPython(migrations.RunPython.noop, _remove_triggers),
    ]
