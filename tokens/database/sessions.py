"""The queries for sessions. `tokens.models.RefreshToken` has the columns."""

from datetime import datetime
from typing import Any, Self, TypeVar

from django.db.models import Case, F, Model, Q, QuerySet, When
from django.db.models.functions import Coalesce, Least
from django.db.models.lookups import IsNull

from tokens.database.expressions import DatabaseNow
from tokens.database.transactions import writer

Row = TypeVar("Row", bound=Model)


class SessionQuerySet(QuerySet[Row, Row]):
    """The model's ``reopened`` returns the condition that a factor reopens a session when it is idle."""

    def live(self) -> Self:
        """Return the sessions that have not ended and are not idle."""
        return self.filter(revoked_at=None, idle_expires_at__gt=DatabaseNow(), expires_at__gt=DatabaseNow())

    def unended(self) -> Self:
        """Return the live sessions, and those that are idle until a factor reopens them."""
        is_open = Q(idle_expires_at__gt=DatabaseNow()) | self._reopened()
        return self.filter(is_open, revoked_at=None, expires_at__gt=DatabaseNow())

    def expired(self) -> Self:
        """Return the sessions that have expired."""
        is_over = Q(idle_expires_at__lte=DatabaseNow()) & ~self._reopened()
        return self.filter(is_over | Q(expires_at__lte=DatabaseNow()), revoked_at=None)

    def ended_before(self, instant: datetime) -> Self:
        """Return the sessions that ended before ``instant``, and none that a factor could reopen then."""
        expires_at = Case(When(self._reopened(), then="expires_at"), default=Least("idle_expires_at", "expires_at"))
        ended_at = Coalesce("revoked_at", expires_at)
        return self.alias(ended_at=ended_at).filter(ended_at__lt=instant)

    def for_decision(self) -> Self:
        """Return the rows with user, device and the database's clock, from the database that takes writes."""
        return self.using(writer(self.model)).select_related("user", "device").annotate(now=DatabaseNow())

    def locked(self) -> Self:
        """Return the rows in the order in which every transaction locks sessions, locked until the commit.

        Impersonations come last. When a person's own session is locked, no further impersonation begins in it, so that
        all that were begun can be read and locked then.
        """
        return self.order_by(IsNull(F("actor"), False), "id").select_for_update(of=("self",))

    def idle(self) -> Self:
        """Return the sessions that are idle: a factor reopens them."""
        return self.unended().filter(idle_expires_at__lte=DatabaseNow())

    def _reopened(self) -> Q:
        model: Any = self.model
        found: Q = model.reopened()
        return found
