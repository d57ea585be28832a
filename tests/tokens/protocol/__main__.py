"""Prints what the searches find: ``python -m tests.tokens.protocol``, or with the names of some searches.

A search goes through all histories that a rule allows, and stops at the first one that breaks a promise. One rule of
each search is the one that the code follows. The others show that the search would find the mistake. A line for each
rule says how many worlds were examined, and the history.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from tests.tokens.protocol import (
    cross_site_search,
    device_search,
    django_session_search,
    idle_search,
    password_search,
    reauthentication_search,
    registration_search,
    required_search,
    taken_over_search,
    voucher_search,
)

WORLDS = 3_000_000
Cases = Iterator[tuple[str, Callable[[], Any]]]
"""What a search tries, and the function that does."""


def of_cross_site() -> Cases:
    for rule, search in product(cross_site_search.Rule, (cross_site_search.foreign_page, cross_site_search.thief)):
        yield f"{rule.value} ({search.__name__})", partial(search, rule)


def of_devices() -> Cases:
    for rule in (device_search.all_successors, device_search.its_successor, device_search.its_own):
        yield rule.__name__, partial(device_search.search, rule)


def of_django_sign_ins() -> Cases:
    for rule, scoped, stolen in product(django_session_search.Rule, (False, True), (False, True)):
        where = f"mode {'scoped' if scoped else 'cookie'}, {'a thief' if stolen else 'no thief'}"
        yield f"{rule.value} ({where})", partial(django_session_search.search, rule, scoped=scoped, stolen=stolen)


def of_passwords() -> Cases:
    rules = password_search.Rules()
    scale = password_search.Scale(passwords=1, rehashes=1, deactivations=0, fail_overs=False, processes=1)
    yield "as built", partial(password_search.search, scale, rules)
    for name in password_search.Rules.__dataclass_fields__:
        without = replace(rules, **{name: False})
        yield f"without {name}", partial(password_search.search, password_search.MUTATED, without)


def of_reauthentication() -> Cases:
    for rule in reauthentication_search.Rule:
        yield f"{rule.value} (no thief)", partial(reauthentication_search.honest, rule, WORLDS)
        yield f"{rule.value} (a thief)", partial(reauthentication_search.stolen, rule)


def of_registrations() -> Cases:
    for required, again in product(registration_search.Required, registration_search.Again):
        rule = registration_search.Rule(required, again)
        yield f"requires {required.value}, offers again to {again.value}", partial(registration_search.search, rule)


def of_idle_sessions(module: Any) -> Cases:
    for rule in module.Rule:
        yield f"{rule.value} (no thief)", partial(module.honest, rule, WORLDS)
        for thief in module.Thief:
            yield f"{rule.value} ({thief.value})", partial(module.stolen, rule, thief)


def of_taking_over() -> Cases:
    for rule, stolen in product(taken_over_search.Rule, (False, True)):
        what = f"{rule.value} ({'a thief' if stolen else 'no thief'})"
        yield what, partial(taken_over_search.search, rule, stolen=stolen)


def of_vouchers() -> Cases:
    for rule in voucher_search.Rule:
        yield f"requires {rule.value}", partial(voucher_search.search, rule)
    for views in (voucher_search.Views.WHOLE, voucher_search.Views.SOON):
        what = f"requires {voucher_search.Rule.EACH.value}; a view's token is valid {views.value}"
        yield what, partial(voucher_search.search, voucher_search.Rule.EACH, views)


SEARCHES: dict[str, Callable[[], Cases]] = {
    "cross_site": of_cross_site,
    "device": of_devices,
    "django": of_django_sign_ins,
    "idle": partial(of_idle_sessions, idle_search),
    "password": of_passwords,
    "reauthentication": of_reauthentication,
    "registration": of_registrations,
    "required": partial(of_idle_sessions, required_search),
    "taking_over": of_taking_over,
    "voucher": of_vouchers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="SEARCH", help=f"{', '.join(SEARCHES)}. Default: all")
    names = parser.parse_args().names or SEARCHES
    if unknown := set(names) - set(SEARCHES):
        parser.error(f"there is no search {', '.join(sorted(unknown))}, but: {', '.join(SEARCHES)}")
    for name in names:
        for what, search in SEARCHES[name]():
            worlds, *rest = search()
            history = next((part for part in rest if isinstance(part, list)), None)
            promise = next((f"{part}: " for part in rest if isinstance(part, str) and part), "")
            found = "nothing bad" if history is None else f"{promise}{'; '.join(history)}"
            print(f"{name}: {what}: {worlds:,} worlds, {found}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
