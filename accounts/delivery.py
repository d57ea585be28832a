"""Delivers mails in the background. No request waits for the mail server, and no account delays another's mail.

A mail that somebody waits for, such as a link that resets the password, is delivered before any notice. Among mails of
the same kind the addresses take turns. So an account that causes a thousand notices does not delay another account's
mail by more than the delivery of one. For each address at most `OF_ONE_ADDRESS` mails of a kind wait, and for all
addresses at most `WAITING`. Further ones are dropped, and `send` says so.

A process that ends regularly delivers the mails that are still waiting.
"""

import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from importlib.util import find_spec
from threading import Lock
from typing import Any

from django.core.mail import EmailMessage

WAITING = 1000
"""How many mails of a kind wait for a slow mail server."""
OF_ONE_ADDRESS = 20
"""How many of them are for one address."""

NOTICE, LINK = "notice", "link"
DROPPED: Any = None
"""The metric, or None without prometheus-client."""
if find_spec("prometheus_client"):
    from prometheus_client import Counter

    DROPPED = Counter(
        "latchkey_mails_dropped", "Mails that were dropped because too many were waiting, by kind.", ["kind"]
    )
    for _kind in (NOTICE, LINK):
        DROPPED.labels(_kind)

logger = logging.getLogger("accounts")
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")


class Queue:
    """Mails of one kind that wait. Their addresses take turns."""

    def __init__(self) -> None:
        self._of_address: dict[str, deque[EmailMessage]] = {}
        self._count = 0

    def put(self, message: EmailMessage) -> bool:
        """Add a mail. Return False if too many are waiting."""
        waiting = self._of_address.get(message.to[0], ())
        if self._count >= WAITING or len(waiting) >= OF_ONE_ADDRESS:
            return False
        self._of_address.setdefault(message.to[0], deque()).append(message)
        self._count += 1
        return True

    def take(self) -> EmailMessage | None:
        """Remove and return the next mail of the address whose turn it is, or None."""
        if not self._of_address:
            return None
        address, waiting = next(iter(self._of_address.items()))
        del self._of_address[address]
        message = waiting.popleft()
        self._count -= 1
        if waiting:
            self._of_address[address] = waiting  # At the end: the others come first.
        return message


_lock = Lock()
_links, _notices = Queue(), Queue()


def send(message: EmailMessage, *, is_notice: bool = False) -> bool:
    """Deliver a mail in the background. Call it after the commit. Return False if it was dropped."""
    with _lock:
        is_kept = (_notices if is_notice else _links).put(message)
    if is_kept:
        # In an empty context: threads of Python without a global lock begin in that of the request which started them,
        # with its tenant and its language.
        _pool.submit(Context().run, deliver_next)
    else:
        if DROPPED:
            DROPPED.labels(NOTICE if is_notice else LINK).inc()
        logger.error("mail dropped, because too many are waiting")
    return is_kept


def deliver_next() -> None:
    """Deliver the mail whose turn it is. If the mail server rejects it, log the error."""
    with _lock:
        message = _links.take() or _notices.take()
    if message is None:
        return
    try:
        message.send()
    except Exception as error:  # Mail servers and networks fail in many ways.
        # The log contains neither the mail, which may hold a link, nor the server's message, which may quote it.
        logger.error("mail not sent: %s", type(error).__name__)
