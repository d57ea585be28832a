"""Canonical names: which spellings of a name count as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokens.service.canonical_names import canonical

SAME = {
    "upper case": ("Ada@Example.ORG", "ada@example.org"),
    "full-width letters": ("ａｄａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "ada@example.org"),
    "blanks around it": (" ada@example.org\t", "ada@example.org"),
    "a decomposed letter": ("a@mu\u0308nchen.de", "a@münchen.de"),
    "a domain in Punycode": ("a@XN--MNCHEN-3YA.de", "a@münchen.de"),
    "case folding of the local part": ("straße@example.org", "strasse@example.org"),
    "a ligature": ("ﬁx", "fix"),
}
DIFFERENT = {
    "domains with ß and ss, because UTS 46 is not transitional": ("a@straße.de", "a@strasse.de"),
    "another local part": ("ada@example.org", "bob@example.org"),
    "a label that is no Punycode": ("a@xn--bücher.de", "a@bücher.de"),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME)
def test_these_spellings_are_the_same(first, second):
    assert canonical(first) == canonical(second) == second


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT)
def test_these_are_different(first, second):
    assert canonical(first) != canonical(second)


@given(st.text() | st.emails() | st.builds("{}@xn--{}".format, st.text(), st.text()))
def test_every_text_has_one(name):
    assert canonical(canonical(name)) == canonical(name)


def test_a_domain_that_is_refused_can_be_one_that_is_taken_when_it_is_folded():
    assert canonical("a@XN--0ß") == canonical("a@xn--0ss") == "a@夲"
