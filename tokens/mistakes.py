"""A mistake in the settings: what `tokens.conf` raises about, and `tokens.checks` tells as a system check."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a setting. ``id``: of the system check. ``serious``: nothing starts with it."""

    id: str
    message: str
    hint: str
    serious: bool = True
