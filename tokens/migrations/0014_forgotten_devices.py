from uuid import UUID

import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the columns. 0016 orders existing devices, and makes the index."""

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
    ]
