import django.db.models.deletion
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("factors", "0002_confirmed_in"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UsedChallenge",
            fields=[
                ("nonce", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True, editable=False)),
            ],
            options={
                "verbose_name": "used challenge",
                "verbose_name_plural": "used challenges",
            },
        ),
        migrations.CreateModel(
            name="UserHandle",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("handle", models.BinaryField(max_length=64, unique=True)),
                ("is_offer_dismissed", models.BooleanField(default=False, editable=False)),
            ],
            options={
                "verbose_name": "user handle",
                "verbose_name_plural": "user handles",
            },
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("credential_id", models.BinaryField(max_length=1023, unique=True)),
                ("public_key", models.BinaryField(max_length=2048)),
                ("sign_count", models.BigIntegerField(editable=False)),
                ("aaguid", models.UUIDField(editable=False)),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("transports", models.CharField(blank=True, editable=False, max_length=100)),
                ("can_sync", models.BooleanField(editable=False, verbose_name="can be synced")),
                ("is_synced", models.BooleanField(editable=False, verbose_name="synced")),
                (
                    "is_discoverable",
                    models.BooleanField(editable=False, null=True, verbose_name="signs in without a name"),
                ),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("created_in", models.UUIDField(editable=False, null=True)),
                ("last_used_at", models.DateTimeField(null=True, verbose_name="last used")),
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
                "verbose_name": "passkey",
                "verbose_name_plural": "passkeys",
            },
        ),
    ]
