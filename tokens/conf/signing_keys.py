"""The setting SIGNING_KEYS: the keys that sign access tokens, as PEM files, PEM texts, or the word ``derived``.

``derived`` stands for the keys that `tokens.protocol.keys` derives from Django's ``SECRET_KEY``.

An error names a key by its place in the list, and never by its text. A PEM text without its first line would be taken
for a path, and the path would be written to a log.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

from django.core.checks import CheckMessage, Error, Warning

from tokens.protocol.signing_keys import ALGORITHMS, EDDSA, LEAST_RSA_BITS, Flaw, SigningKey, UnusableKey, parse

DERIVED = "derived"
OTHERS = 0o077
"""The bits of a file's mode that let its group or all users do something with it."""
MAX_PEM = 64 * 1024
"""Bytes of a PEM file that are read. The key of a 16384-bit RSA takes thirteen thousand."""

_MAKE = "`manage.py make_signing_key` makes one."
_FLAWS = {
    Flaw.UNREADABLE: (
        "tokens.E019",
        "is not a PEM text, and not a file that can be read",
        "The path of a PEM file that this process may read.",
    ),
    Flaw.GARBLED: (
        "tokens.E020",
        "is not one private key in PEM",
        f"One key in each file, with its line breaks. {_MAKE}",
    ),
    Flaw.ENCRYPTED: (
        "tokens.E021",
        "is encrypted",
        "The server cannot ask for a password. Decrypt the key: `openssl pkey -in its.pem -out key.pem`.",
    ),
    Flaw.PUBLIC: ("tokens.E022", "is a public key", f"The private key is needed. It contains the public key. {_MAKE}"),
    Flaw.UNSUITABLE: ("tokens.E023", "is neither Ed25519 nor P-256 nor RSA", _MAKE),
    Flaw.SHORT: ("tokens.E024", f"is an RSA key of less than {LEAST_RSA_BITS} bits", _MAKE),
    Flaw.PSS: (
        "tokens.E035",
        "is for RSASSA-PSS only (id-RSASSA-PSS), and RS256 is RSASSA-PKCS1-v1_5",
        f"An RSA key without that restriction: `openssl genpkey -algorithm RSA`, or {_MAKE}",
    ),
}
"""For each reason why a key cannot be used: the id of the system check, its message, and its hint."""


def read(algorithm: str, sources: Sequence[str]) -> tuple[tuple[SigningKey | None, ...], list[CheckMessage]]:
    """Return the keys of SIGNING_KEYS (None for ``derived``), and what is wrong with them."""
    if algorithm not in ALGORITHMS:
        hint = f"Choose one of {', '.join(ALGORITHMS)}."
        return (None,), [Error(f"ALGORITHM is {algorithm!r}.", hint=hint, id="tokens.E018")]
    found: list[SigningKey | None] = []
    messages: list[CheckMessage] = []
    exposed: list[CheckMessage] = []
    for place, source in enumerate(sources, start=1):
        try:
            found.append(None if source == DERIVED else load(source))
        except UnusableKey as error:
            id, message, hint = _FLAWS[error.flaw]
            messages.append(Error(f"SIGNING_KEYS: key {place} {message}.", hint=hint, id=id))
        else:
            if mode := _mode_for_others(source):
                what = f"SIGNING_KEYS: other users of this machine may use the file of key {place} (mode {mode:04o})."
                hint = (
                    "Anybody who reads it can sign in as any user. Run `chmod 600`, so that only its owner can read it."
                )
                exposed.append(Warning(what, hint=hint, id="tokens.W014"))
    if len({key and key.kid for key in found}) < len(found):
        hint = "The first key signs, and all keys verify. List each key once."
        messages.append(Error("SIGNING_KEYS contains the same key twice.", hint=hint, id="tokens.E025"))
    first = found[0].algorithm if found and found[0] else EDDSA
    if not messages and first != algorithm:
        hint = (
            f"Set ALGORITHM to {first}, or put a key for {algorithm} first: "
            f"`manage.py make_signing_key --algorithm {algorithm}` makes one."
        )
        what = f"the first key of SIGNING_KEYS is for {first}" if found[0] else f"derived keys are for {EDDSA}"
        messages.append(Error(f"ALGORITHM is {algorithm}, but {what}.", hint=hint, id="tokens.E027"))
    return (None,) if messages else tuple(found), [*messages, *exposed]


def load(source: str) -> SigningKey:
    """Return the key of a PEM text, or of the file at a path. Raise `UnusableKey`."""
    if "-----BEGIN " in source:
        return parse(source.encode("utf-8", "replace"))
    try:
        with open(source, "rb") as file:
            pem = file.read(MAX_PEM)
    except (OSError, ValueError):
        # Not chained: the original error contains the path, which may be a key.
        raise UnusableKey(Flaw.UNREADABLE) from None
    return parse(pem)


def _mode_for_others(source: str) -> int:
    """Return the mode of the file of a key if it allows others something, else 0. Windows has no such modes."""
    with suppress(OSError, ValueError):  # It is ``derived`` or a PEM text.
        if os.name == "posix" and source != DERIVED and "-----BEGIN " not in source:
            mode = os.stat(source).st_mode & 0o777
            return mode if mode & OTHERS else 0
    return 0
