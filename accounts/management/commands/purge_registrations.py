"""``manage.py purge_registrations``: deletes the registrations that have expired (`accounts.models.Registration`)."""

from typing import Any

from django.core.management import BaseCommand

from accounts.service import registration


class Command(BaseCommand):
    help = "Deletes registrations that were not confirmed within a day."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"registrations: {registration.purge()} deleted")
