"""A code by e-mail, for people who can prove in no other way that it is them. Add it to FACTORS.

It is offered only to an account without a password, and without any other factor: for example after a social sign-in.
E-mail is no authentication factor (SP 800-63B-4 section 3.1.3.1), so the session gets no method by it. Its
``auth_time`` moves.

The code is stored nowhere. It is computed from the session, the address and the time of the last authentication, and
is good for five to ten minutes. Each is accepted once, as long as the cache answers.
"""

import logging
import time
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.core.cache import cache
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts import delivery, mail, users
from tokens import sessions
from tokens.sessions import Factor

logger = logging.getLogger("accounts")

PERIOD = 5 * 60
"""Seconds. A code is accepted in the period in which it was sent, and in the next one."""
DIGITS = 8


class EmailCode(Factor):
    """A code that is sent to the address of the account when the client asks for it (`begin`)."""

    name, label = "email_code", _("code by e-mail")
    is_last_resort = True
    is_sent = True

    def is_available(self, user: Any) -> bool:
        return users.has_addresses() and bool(users.address_of(user))

    def begin(self, request: Any, user: Any) -> None:
        """Send the code, unless too many mails were sent to this account."""
        address, session_id = users.address_of(user), sessions.current_id(request)
        if session_id is None or sessions.actor_id(request) is not None:
            return
        # Neither strangers who ask for resets nor a thief with only an access token use up the owner's mails.
        held = "held" if sessions.has_refresh_token(request) else "seen"
        if not sessions.may_send(request, "reset", f"code\n{held}\n{sessions.canonical(address)}"):
            return
        code = _code(user, session_id, _period())
        delivery.send(mail.compose("code", address, code=code, email=address, minutes=PERIOD // 60))

    @sensitive_variables()
    def verify(self, request: Any, user: Any, answer: Any) -> tuple[str, ...] | None:
        session_id = sessions.current_id(request)
        if session_id is None or not isinstance(answer, str):
            return None
        given, now = answer.strip().replace(" ", "").encode("utf-8", "replace"), _period()
        good = [code for code in (_code(user, session_id, now - ago) for ago in (0, 1)) if _is_same(code, given)]
        return () if good and _is_first(session_id, good[0]) else None


def _period() -> int:
    return int(time.time()) // PERIOD


@sensitive_variables()
def _code(user: Any, session_id: Any, period: int) -> str:
    """Return the code of this session in this period. A reauthentication makes it invalid."""
    session = sessions.live_sessions(user).filter(id=session_id).first()
    facts = (user.pk, users.address_of(user), session_id, session and session.authenticated_at, period)
    digest = salted_hmac("accounts.factors.EmailCode", "\n".join(map(str, facts)), algorithm="sha256").digest()
    return f"{int.from_bytes(digest[:16]) % 10**DIGITS:0{DIGITS}}"


def _is_same(code: str, given: bytes) -> bool:
    return compare_digest(code.encode(), given)


def _is_first(session_id: Any, code: str) -> bool:
    """Note that this code was used. Return False if it was used before, or if the cache does not answer."""
    key = f"accounts-code-{sha256(f'{session_id} {code}'.encode()).hexdigest()}"
    try:
        return bool(cache.add(key, 1, 2 * PERIOD))
    except Exception:
        logger.exception("the cache did not answer, so a code by e-mail was not accepted")
        return False
