"""Which database answers, where there is a replica (REPLICA_URL).

The revocation feed, which every process reads each `REVOCATION_LAG`, reads the replica, and sees for itself whether it
is fresh. All else reads from the primary what it has written there.
"""

from typing import Any

REPLICA = "replica"


class ReplicaRouter:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return REPLICA if model._meta.label == "tokens.Revocation" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == REPLICA else None
