from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the backend of a session. The default is in the database, so that no row is written."""

    dependencies = [("tokens", "0017_no_names_on_users")]

    operations = [
        migrations.AddField(
            model_name="refreshtoken",
            name="backend",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=255),
        )
    ]
