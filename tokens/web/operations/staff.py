"""A member of the staff changes the accounts of other users, in a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

from django.http import HttpRequest

from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.service import users
from tokens.service.users import SessionEnded
from tokens.web import possession
from tokens.web.exchange import current_id, refuse_impersonation
from tokens.web.possession import Proof


@contextmanager
def change_accounts(request: HttpRequest, *keys: Any, **proof: Unpack[Proof]) -> Iterator[list[Any]]:
    """A transaction in which the user of this request may change the accounts with these primary keys.

    Yield the user of the request, and then each of the others, or None in their place. The rows of all these people and
    their devices are locked, and the live sessions of the user of the request. **The caller decides who may do what**,
    by the rows that are yielded. Raise what `tokens.web.operations.session.change_account` raises.
    """
    refuse_impersonation(request)
    alias, session_id = writer(RefreshToken), current_id(request)
    if session_id is None:
        raise SessionEnded
    with durable(alias):
        people = users.lock_users(alias, request.user.pk, *keys)
        users.lock_devices(alias, request.user.pk, *keys)
        user, own = users.lock_signed_in(alias, request.user.pk, session_id)
        possession.require(request, own, user, **proof)
        yield people
