"""Changes of accounts that wait for their link get a table of their own. Links that were sent before end."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("accounts", "0004_canonical_address"),
    ]

    operations = [
        migrations.AddField(
            model_name="registration",
            name="used_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="user",
            name="email_confirmed_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="Empty if an administrator has changed the address, and its owner has not confirmed it yet.",
                null=True,
                verbose_name="e-mail address confirmed",
            ),
        ),
        migrations.CreateModel(
            name="PendingChange",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "purpose",
                    models.CharField(
                        choices=[("email-change", "Email Change"), ("password-reset", "Password Reset")], max_length=16
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("password_digest", models.BinaryField(max_length=32)),
                ("new_email", models.EmailField(blank=True, max_length=254)),
                ("session_id", models.UUIDField(null=True)),
                ("by_alarm", models.BooleanField(default=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "Pending"), ("used", "Used"), ("cancelled", "Cancelled")],
                        default="pending",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
