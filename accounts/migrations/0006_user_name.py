"""Registrations have a user name, for user models whose user name is not the address."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_pending_change"),
    ]

    operations = [
        migrations.AddField(
            model_name="registration",
            name="username",
            # The default of the database is for nodes with an earlier release.
            field=models.CharField(blank=True, db_default="", default="", max_length=254),
        ),
        migrations.AddField(
            model_name="registration",
            name="name_tries",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
