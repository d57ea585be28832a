"""Users with a passkey each, for the measurements of sign-ins."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings

from factors import ceremonies, challenges
from factors.models import Passkey, UserHandle
from tests.factors.authenticator import Authenticator
from tokens.sessions import now, relying_party

BROWSER = "a random text"


class Keys:
    """An authenticator of each user."""

    def __init__(self, users: Iterable[Any]) -> None:
        self._party, self._keys = relying_party(None), []
        for user in users:
            key = Authenticator(origin=settings.ORIGIN)
            row = UserHandle.objects.create(user=user, handle=user.pk.bytes)
            options = ceremonies.creation_options(self._party, b"", row.handle, user.email, ())
            new = ceremonies.read_creation(self._party, key.create(options))
            names = ("credential_id", "public_key", "sign_count", "aaguid", "can_sync", "is_synced")
            values = {name: getattr(new, name) for name in names}
            Passkey.objects.create(user=user, name="a passkey", created_at=now(), **values)
            self._keys.append(key)

    def sign_ins(self) -> Iterator[tuple[bytes, dict[str, str]]]:
        """Yield the body and the cookies of a sign-in of each user."""
        for key in self._keys:
            challenge = challenges.make(self._party.keys, challenges.SIGN_IN, BROWSER)
            answer = key.sign(ceremonies.request_options(self._party, challenge))
            yield json.dumps({"answer": answer}).encode(), {"__Host-passkey": BROWSER}
