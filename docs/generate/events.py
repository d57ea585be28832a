"""Security events, the reasons for which sessions end, and the metrics."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.utils import translation
from prometheus_client import REGISTRY

from docs.generate.markdown import table
from tokens import monitoring
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.purge import Run

KEPT = {False: "`EVENT_RETENTION`", True: "`ATTEMPT_RETENTION`"}
UNITS = {"counter": "_total", "histogram": "", "gauge": ""}


def kinds() -> str:
    with translation.override("en"):
        return table(
            ["kind", "in the admin", "kept for"],
            [[f"`{kind.value}`", str(kind.label), KEPT[kind in SecurityEvent.ATTEMPTS]] for kind in SecurityEvent.Kind],
        )


def reasons() -> str:
    with translation.override("en"):
        return table(["reason", "meaning"], [[f"`{one.value}`", str(one.label)] for one in RefreshToken.Reason])


def metrics() -> str:
    rows = {}
    for metric in REGISTRY._collector_to_names:
        name = getattr(metric, "_name", "")
        if name.startswith("latchkey_"):
            rows[name] = [name + UNITS[metric._type], metric._type, metric._labelnames, metric._documentation]
    for family in _of_the_database():
        labels = tuple(dict.fromkeys(label for sample in family.samples for label in sample.labels))
        rows[family.name] = [family.name, family.type, labels, f"{family.documentation} Read from the database."]
    return table(
        ["metric", "type", "labels", "meaning"],
        [
            [f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), text]
            for name, kind, labels, text in (rows[key] for key in sorted(rows))
        ],
    )


def _of_the_database() -> list[Any]:
    """Return the metrics that a scrape reads from the database, after a purge that this function makes up."""
    run = Run(datetime.now(UTC), {"sessions": 1}, 1.0)
    with patch.object(monitoring, "_last_purge", SimpleNamespace(answer=lambda: run)):
        return list(monitoring._of_the_database())
