"""Which database is read if there is a replica (REPLICA_URL).

Only the revocation feed reads the replica, once per ``REVOCATION_LAG`` in every process. It checks by itself whether
the replica is recent enough. Everything else reads the primary.
"""

from typing import Any

REPLICA = "replica"


class ReplicaRouter:
    """Lets the revocation feed read the replica."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return REPLICA if model._meta.label == "tokens.Revocation" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == REPLICA else None
