"""Canonical names: the spellings of a user name or an e-mail address that may mean the same account have one.

Throttles count by it, because it depends on the request only, and not on which accounts exist. `accounts` compares
addresses by it.
"""

import unicodedata

import idna


def canonical(name: str) -> str:
    """Return the canonical spelling of a user name or an e-mail address. Every text has one.

    Case is folded between two normalisations to NFKC. The domain of an address is mapped by UTS 46 instead, without
    transitional processing, and a label in Punycode is decoded. A domain that UTS 46 refuses is treated like other
    text. If its folded text is a domain that UTS 46 takes, that one is meant: the canonical name of a canonical name is
    itself.
    """
    normalised = unicodedata.normalize("NFKC", name).strip()
    local, at, domain = normalised.rpartition("@")
    try:
        return f"{_folded(local)}{at}{canonical_domain(domain)}" if at else _folded(normalised)
    except InvalidDomain:
        folded = _folded(normalised)
        return folded if folded == normalised else canonical(folded)


class InvalidDomain(ValueError):
    """UTS 46 refuses the domain."""


def canonical_domain(domain: str) -> str:
    """Return the domain in Unicode, mapped by UTS 46 (non-transitional processing). Raise `InvalidDomain`."""
    try:
        labels = idna.uts46_remap(domain).split(".")
        return ".".join(_decoded(label) for label in labels)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidDomain(domain) from error


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    decoded = label[4:].encode("ascii").decode("punycode")
    if idna.uts46_remap(decoded) != decoded:
        raise InvalidDomain(label)
    return decoded


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text.casefold())
