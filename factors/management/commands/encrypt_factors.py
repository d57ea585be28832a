"""``manage.py encrypt_factors``: encrypts secrets again that are encrypted under an older ``SECRET_KEY``."""

from typing import Any

from django.core.management import BaseCommand, CommandError

from factors.service import totp


class Command(BaseCommand):
    help = (
        "Encrypts the secrets of authenticator apps again, under the current SECRET_KEY. Run it before you remove a "
        "key from SECRET_KEY_FALLBACKS. It fails if a secret cannot be read."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        results = list(totp.encrypt_again())
        self.stdout.write(f"{results.count(True)} encrypted again")
        if lost := results.count(False):
            raise CommandError(f"{lost} cannot be read. Add the SECRET_KEY that they need to SECRET_KEY_FALLBACKS.")
