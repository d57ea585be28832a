from typing import Any

from django.db import migrations


def analyze_seldom(apps: Any, schema_editor: Any) -> None:
    """Let ANALYZE come after ten times as many changes as there are rows, not after a tenth.

    A refresh counts as a change, and changes nothing that a plan depends on. While ANALYZE reads, no old version of any
    row can be cleared away: it came so often that refreshes found no room beside their rows, and the table grew.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE tokens_refreshtoken SET (autovacuum_analyze_scale_factor = 10)")


class Migration(migrations.Migration):
    dependencies = [("tokens", "0009_purged_by_id")]

    operations = [migrations.RunPython(analyze_seldom, migrations.RunPython.noop, elidable=False)]
