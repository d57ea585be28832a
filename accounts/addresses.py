"""E-mail addresses: which spellings mean the same one, and the table that says whom each of them means.

The table (`accounts.models.CanonicalAddress`) has a row for each canonical address::

    ada@example.org       the user whom every spelling means: ADA@example.org, ａda@example.org
    strasse@example.org   None: straße@example.org and strasse@example.org are accounts of their own

The rows of users are right, and this table only helps to find them. A row that does not fit the address of its user,
and a user without a row, find nobody, except by the exact spelling. They come from writers that do not call the model:
SQL, ``loaddata``, or a node with an older release. `rebuild` repairs them, which ``manage.py canonical_addresses`` and
the migration call.

This module imports no model, so that migrations can use it.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import Count
from django.db.models.functions import Upper
from django.utils.translation import gettext as _

from tokens.service.public import InvalidDomain, canonical_domain
from tokens.service.public import canonical as canonical

MAX_ADDRESS = 254
"""Characters of an e-mail address (RFC 5321 section 4.5.3.1.3, without the angle brackets), and of a canonical one."""
BATCH = 2000
"""Rows that are read at a time."""


def validate_new_address(address: str) -> None:
    """Raise `ValidationError` for an address that no new account can have. One that is stored already stays."""
    _local, at, domain = address.rpartition("@")
    if not at:
        return  # Another validator says that this is no address.
    try:
        canonical_domain(domain)
    except InvalidDomain:
        raise ValidationError(_("This domain does not exist: its name is not valid."), code="invalid_domain") from None
    if len(canonical(address)) > MAX_ADDRESS:
        raise ValidationError(_("This address is too long."), code="max_length")


def deliverable(address: str) -> str:
    """Return the address with its domain in ASCII, as mail servers take it.

    Django would encode the domain by the older rules (IDNA 2003), by which straße.example is strasse.example, and
    belongs to somebody else.
    """
    local, _at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        labels = canonical_domain(domain).split(".")
    except InvalidDomain:
        return address
    encoded = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
    return f"{local}@{'.'.join(encoded)}"


class Repaired(NamedTuple):
    """What `rebuild` has found: rows that did not fit their user, missing rows, and addresses of several users."""

    removed: int
    added: int
    shared: int


def rebuild(users: Any, entries: Any, on_batch: Callable[[int], None] | None = None) -> Repaired:
    """Make the table right for all users. ``users`` and ``entries`` are querysets. Call it in a transaction.

    An address that several users have belongs to none of them. ``on_batch`` is called with each number of users that
    were read.
    """
    were_shared = set(entries.filter(user=None).values_list("address", flat=True))
    removed, added = _delete_wrong(users, entries), 0
    for batch in _batches(users.values_list("pk", "email")):
        holders: dict[str, set[Any]] = {}
        for pk, email in batch:
            if len(address := canonical(email)) <= MAX_ADDRESS:
                holders.setdefault(address, set()).add(pk)
        entry = entries.model
        there = set(entries.filter(address__in=holders).values_list("address", flat=True))
        added += len(holders.keys() - there - were_shared)
        entries.bulk_create(
            [entry(address=address, user_id=_only(pks)) for address, pks in holders.items()], ignore_conflicts=True
        )
        found = entries.filter(address__in=holders).exclude(user=None).values_list("address", "user")
        shared = [address for address, pk in found if holders[address] != {pk}]
        entries.filter(address__in=shared).update(user=None)
        if on_batch is not None:
            on_batch(len(batch))
    return Repaired(removed, added, entries.filter(user=None).count())


def collisions(users: Any, entries: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each canonical address that several users have, and these users. The table must be right."""
    shared = set(entries.filter(user=None).values_list("address", flat=True))
    if shared:
        batches = _batches(users.values_list("pk", "email"))
        found = sorted(
            (address, pk) for batch in batches for pk, email in batch if (address := canonical(email)) in shared
        )
        for address, pairs in groupby(found, lambda pair: pair[0]):
            yield address, list(users.filter(pk__in=[pk for _, pk in pairs]).order_by("pk"))


def shared(users: Any, field: str) -> Any:
    """Return the addresses that several users have, without regard to case, as a queryset of them in upper case."""
    upper = users.exclude(**{field: ""}).order_by().annotate(upper=Upper(field)).values("upper")
    return upper.annotate(users=Count("pk")).filter(users__gt=1).values_list("upper", flat=True)


def collisions_of(users: Any, field: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the same as `collisions`. It is for user models without a table of canonical addresses.

    It reads all users twice, and keeps only hashes of the addresses meanwhile.
    """
    seen: set[int] = set()
    several: set[int] = set()
    for batch in _batches(users.values_list("pk", field)):
        for number in (hash(canonical(address)) for _pk, address in batch if address):
            (several if number in seen else seen).add(number)
    found: dict[str, list[Any]] = {}
    for batch in _batches(users.values_list("pk", field)):
        for pk, address in batch:
            if address and hash(canonical(address)) in several:
                found.setdefault(canonical(address), []).append(pk)
    for address in sorted(address for address, pks in found.items() if len(pks) > 1):
        yield address, list(users.filter(pk__in=found[address]).order_by("pk"))


def _delete_wrong(users: Any, entries: Any) -> int:
    """Delete the rows that do not fit the address of their user, and return how many. Collisions are found anew."""
    entries.filter(user=None).delete()
    count = 0
    for batch in _batches(entries.values_list("address", "user")):
        emails = dict(users.filter(pk__in=[pk for _, pk in batch]).values_list("pk", "email"))
        wrong = [address for address, pk in batch if pk not in emails or canonical(emails[pk]) != address]
        entries.filter(address__in=wrong).delete()
        count += len(wrong)
    return count


def _batches(rows: Any) -> Iterator[list[tuple[Any, Any]]]:
    """Yield all rows, `BATCH` at a time, in the order of the primary key, which is their first value."""
    batch = list(rows.order_by("pk")[:BATCH])
    while batch:
        yield batch
        batch = list(rows.order_by("pk").filter(pk__gt=batch[-1][0])[:BATCH])


def _only(pks: set[Any]) -> Any:
    return next(iter(pks)) if len(pks) == 1 else None


def masked(email: str) -> str:
    """Return the address with only the first character before the @."""
    local, _at, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"
