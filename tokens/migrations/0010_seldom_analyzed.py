from typing import Any

from django.db import migrations


def analyze_seldom(apps: Any, schema_editor: Any) -> None:
    """Start ANALYZE after ten times as many changes as there are rows, instead of a tenth.

    While ANALYZE reads a table, PostgreSQL cannot remove old versions of rows, and refreshes find no space in their
    pages.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE tokens_refreshtoken SET (autovacuum_analyze_scale_factor = 10)")


class Migration(migrations.Migration):
    dependencies = [("tokens", "0009_purged_by_id")]

    operations = [migrations.RunPython(analyze_seldom, migrations.RunPython.noop, elidable=False)]
