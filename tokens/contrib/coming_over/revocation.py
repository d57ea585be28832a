"""Ends credentials in their packages, with the sessions that they have become, or with everything else of a user."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.dispatch import receiver

from tokens.contrib.coming_over.models import TakenOver
from tokens.contrib.coming_over.sources import being_ended, ending_there, installed
from tokens.database.transactions import writer
from tokens.service.revocation import ended


@receiver(ended)
def end_there(*, session_ids: Collection[UUID], user_ids: Collection[Any], **kwargs: Any) -> None:
    """End the credentials of these sessions, and all credentials of these users."""
    token = ending_there.set(True)
    try:
        if session_ids and installed:
            _end_of_sessions(session_ids)
        if user_ids:
            for source in installed.values():
                source.end_all_of(user_ids)
    finally:
        ending_there.reset(token)


def _end_of_sessions(session_ids: Collection[UUID]) -> None:
    found: dict[str, list[TakenOver]] = {}
    for row in TakenOver._default_manager.using(writer(TakenOver)).filter(session_id__in=session_ids):
        if (row.package, row.key) != being_ended.get():
            found.setdefault(row.package, []).append(row)
    for package, rows in found.items():
        if package in installed:
            installed[package].end(rows)
