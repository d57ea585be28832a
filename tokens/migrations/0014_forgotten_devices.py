from typing import Any
from uuid import UUID

import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce


def order_by_last_session(apps: Any, schema_editor: Any) -> None:
    """Order existing devices by their last session. Otherwise none of them would be among a user's latest."""
    alias = schema_editor.connection.alias
    sessions = apps.get_model("tokens", "RefreshToken").objects.filter(device=OuterRef("pk"))
    last = Subquery(sessions.order_by("-id").values("id")[:1])
    apps.get_model("tokens", "Device").objects.using(alias).update(last_sign_in=Coalesce(last, F("id")))


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0013_unknown_sign_in_time"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="forgotten",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="device",
            name="last_sign_in",
            field=models.UUIDField(db_default=UUID(int=0), default=uuid_utils.compat.uuid7, editable=False),
        ),
        migrations.AddField(
            model_name="device",
            name="replaced_by",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.RunPython(order_by_last_session, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=Q(("forgotten", False)), fields=["user", "-last_sign_in"], name="tokens_device_latest"
            ),
        ),
    ]
