from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the digest of the password with which a device was trusted."""

    dependencies = [("tokens", "0021_passkeys")]

    operations = [
        migrations.AddField(
            model_name="device",
            name="trusted_digest",
            field=models.BinaryField(editable=False, max_length=32, null=True),
        ),
    ]
