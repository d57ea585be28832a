from django.db import migrations


class Migration(migrations.Migration):
    """Add a column and an index in one transaction, which locks the table."""

    dependencies = [("tokens", "0007_purged")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE tokens_refreshtoken ADD COLUMN later integer NOT NULL DEFAULT 0",
            "ALTER TABLE tokens_refreshtoken DROP COLUMN later",
        ),
        migrations.RunSQL("CREATE INDEX later ON tokens_refreshtoken (later)", "DROP INDEX later"),
        # With many rows it would take longer than a request may wait.
        migrations.RunSQL("SELECT pg_sleep(3)", "SELECT pg_sleep(3)"),
    ]
