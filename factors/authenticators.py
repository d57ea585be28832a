"""What authenticators are called: password managers, platforms and security keys that many people have.

An authenticator says its AAGUID itself, and nothing proves it. So it only proposes a name, which the user can change.
``authenticators.json`` has the names.
"""

import json
from pathlib import Path
from uuid import UUID

_NAMES: dict[str, str] = json.loads(Path(__file__).with_suffix(".json").read_text())


def name_of(aaguid: UUID) -> str:
    """Return what an authenticator with this AAGUID is called, or ""."""
    return _NAMES.get(str(aaguid), "")
