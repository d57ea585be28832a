"""Conditions on the methods of a session, which one column has as a text (`tokens.protocol.methods`)."""

from collections.abc import Iterable

from django.db.models import Q

Sets = tuple[frozenset[str], ...]


def is_of_level(levels: Iterable[tuple[Sets, Sets]]) -> Q:
    """Return the condition that the methods support one of these levels, and no higher one.

    A level is given by the sets of methods of which one is enough, and those of all higher levels.
    """
    found = Q(pk__in=[])
    for own, higher in levels:
        found |= _has_one_of(own) & ~_has_one_of(higher)
    return found


def _has_one_of(sets: Sets) -> Q:
    found = Q(pk__in=[])
    for enough in sets:
        every = Q()
        for name in sorted(enough):
            every &= Q(methods__startswith=f"{name}:") | Q(methods__contains=f" {name}:")
        found |= every
    return found
