"""The table of canonical addresses, filled for all users. Nobody's address changes (`accounts.addresses`)."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from accounts.addresses import rebuild


def fill(apps: Any, schema_editor: Any) -> None:
    if apps.get_model("accounts", "User")._meta.swapped:
        return  # Only our own user model keeps the table.
    alias = schema_editor.connection.alias
    models = [apps.get_model("accounts", name) for name in ("User", "CanonicalAddress")]
    rebuild(*(model._base_manager.using(alias).all() for model in models))


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("accounts", "0003_registration"),
    ]

    operations = [
        migrations.CreateModel(
            name="CanonicalAddress",
            fields=[
                ("address", models.CharField(max_length=254, primary_key=True, serialize=False)),
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
