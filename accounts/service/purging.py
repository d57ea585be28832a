"""Deletes rows in batches, each in a transaction of its own."""

from collections.abc import Iterator
from typing import Any

BATCH = 5000
"""Rows that are deleted at a time."""


def delete_in_batches(rows: Any) -> Iterator[int]:
    """Delete the rows of a queryset, and yield how many each batch has deleted.

    A row that does not fit the queryset any more when its batch is deleted stays.
    """
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        yield int(rows.filter(pk__in=keys).delete()[0])
        if len(keys) < BATCH:
            return
