"""Account recovery: the owner has raised the alarm, and then sets a new password by a link in a mail.

Somebody who has stolen a session can give the account a factor of their own, which would keep the owner out. So an app
of factors removes those of the account when it hears `account_recovered`.
"""

from datetime import timedelta
from typing import Any

from django.dispatch import Signal

from tokens.service import queries

account_recovered = Signal()
"""The signal that an account is recovered, with its ``user``, who is locked, and the ``request``.

It is sent in the transaction that sets the new password. An exception in a receiver undoes it.
"""


def recover_account(request: Any, user: Any, within: timedelta) -> bool:
    """Send `account_recovered` if this new password recovers the account, and return whether it does.

    It does if the alarm was raised in the period ``within``, and if no password was set by a link since. The user must
    not have changed the address in the period, because a thief may have done it, and would read the mails. Staff may.
    Lock the user first, and record the new password afterwards.
    """
    is_recovered = queries.is_recovery(user, within)
    if is_recovered:
        account_recovered.send(type(user), request=request, user=user)
    return is_recovered
