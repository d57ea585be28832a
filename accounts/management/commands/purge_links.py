"""``manage.py purge_links``: deletes registrations and pending changes whose links are too old (`accounts.links`)."""

from typing import Any

from django.core.management import BaseCommand

from accounts.service import pending_changes, registration


class Command(BaseCommand):
    help = (
        "Deletes registrations that were not confirmed within a day, and changes of accounts whose links are too old. "
        "Run it as often as purge_tokens."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"registrations: {registration.purge()} deleted")
        self.stdout.write(f"pending changes: {pending_changes.purge()} deleted")
