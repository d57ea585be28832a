"""The user model gets no attributes from the tables of this app. No statement is run."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("tokens", "0016_devices_in_order"),
    ]

    operations = [
        migrations.AlterField(
            model_name=name,
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        )
        for name in ("device", "refreshtoken")
    ]
