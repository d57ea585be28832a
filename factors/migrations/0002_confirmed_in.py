from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("factors", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="totp",
            name="confirmed_in",
            field=models.UUIDField(editable=False, null=True),
        ),
    ]
