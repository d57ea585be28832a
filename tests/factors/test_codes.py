"""One-time codes (RFC 6238), recovery codes, and what is taken for one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from factors import codes

APPENDIX_B = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""The seed of the appendix, "12345678901234567890", in base32."""
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HERE = codes.step_at(NOW)


@pytest.mark.parametrize(("seconds", "expected"), APPENDIX_B.items())
def test_the_vectors_of_rfc_6238_appendix_b(seconds, expected):
    step = codes.step_at(datetime.fromtimestamp(seconds, UTC))
    assert codes.code_at(SEED, step, digits=8) == expected
    assert codes.code_at(SEED, step) == expected[2:]


def test_a_step_on_either_side_is_accepted_and_no_other():
    found = [codes.matching_step(SEED, codes.code_at(SEED, HERE + by), NOW, 0) for by in range(-3, 4)]
    assert found == [None, None, HERE - 1, HERE, HERE + 1, None, None]


@pytest.mark.parametrize("after", [HERE - 1, HERE, HERE + 1], ids=["the step before", "this step", "the next step"])
def test_a_step_that_was_used_is_not_accepted_again_nor_an_earlier_one(after):
    accepted = [codes.matching_step(SEED, codes.code_at(SEED, HERE + by), NOW, after) for by in (-1, 0, 1)]
    assert accepted == [step if step > after else None for step in (HERE - 1, HERE, HERE + 1)]


def test_a_code_is_that_of_the_second_at_which_its_step_begins():
    assert codes.step_at(NOW - timedelta(seconds=1)) == HERE - 1
    assert codes.step_at(NOW + timedelta(seconds=29)) == HERE


def test_blanks_in_a_code_do_not_matter():
    right = codes.code_at(SEED, HERE)
    assert codes.matching_step(SEED, f" {right[:3]} {right[3:]}\n", NOW, 0) == HERE


NO_CODES = {
    "null": None,
    "a truth value": True,
    "a short number": 5,
    "a number of six digits": 123456,
    "a fraction": 1.5,
    "an empty text": "",
    "five digits": "12345",
    "seven digits": "1234567",
    "digits of another script": "१२३४५६",
    "letters": "abcdef",
    "an empty list": [],
    "a list": ["123456"],
    "an object": {"a": 1},
    "a long text": "x" * 10**6,
}


@pytest.mark.parametrize("answer", NO_CODES.values(), ids=NO_CODES)
def test_any_other_answer_is_no_code(answer):
    assert codes.matching_step(SEED, answer, NOW, 0) is None
    assert codes.recovery_digest(answer) is None


def test_a_secret_has_160_bits_and_no_two_are_the_same():
    made = {codes.new_secret() for _ in range(100)}
    assert (len(made), {len(secret) * 5 for secret in made}) == (100, {160})


def test_recovery_codes_have_120_bits_and_no_two_are_the_same():
    made = [code for _ in range(50) for code in codes.new_recovery_codes()]
    assert len(set(made)) == 500
    assert {len(code.replace("-", "")) * 5 for code in made} == {120}


def test_how_a_recovery_code_is_written_does_not_matter():
    (code, *_) = codes.new_recovery_codes()
    spellings = [code, code.upper(), code.replace("-", ""), f" {code.replace('-', ' ')}\n"]
    assert len({codes.recovery_digest(spelling) for spelling in spellings}) == 1


def test_the_uri_names_the_account_and_the_site():
    found = urlsplit(codes.uri(SEED, "ada:x@example.org", "example.org"))
    assert (found.scheme, found.netloc, found.path) == ("otpauth", "totp", "/example.org:ada%3Ax%40example.org")
    assert parse_qs(found.query) == {"secret": [SEED], "issuer": ["example.org"]}


def test_the_qr_code_has_neither_styles_nor_scripts_nor_other_files():
    """A content security policy without exceptions shows it."""
    for element in ElementTree.fromstring(codes.qr_code("otpauth://totp/x")).iter():  # noqa: S314
        assert element.tag in {"svg", "g", "path"}
        assert not {"style", "href", "onload"} & element.attrib.keys()
