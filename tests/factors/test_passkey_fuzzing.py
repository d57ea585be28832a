"""Truncated and fuzzed ceremonies: any bytes and any JSON are refused, and never an error of the server."""

import json
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from fido2 import cbor
from fido2.utils import websafe_decode, websafe_encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factors import ceremonies
from factors.ceremonies import Refused
from tests.browsers import post
from tests.factors.api.test_api import JSON
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import BY_PASSKEY, PASSKEYS, begin

pytestmark = pytest.mark.long

PARTY = SimpleNamespace(id="testserver", origins=["https://testserver"])
CREATION = ceremonies.creation_options(PARTY, b"c" * 56, b"u" * 64, "somebody", ())
REQUEST = ceremonies.request_options(PARTY, b"c" * 56)
DEVICE = Authenticator()
CREATED = DEVICE.create(CREATION)
SIGNED = DEVICE.sign(REQUEST)
FIELDS = {"clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"}

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(max_examples=150, deadline=None)
exhaustive = settings(max_examples=20_000, deadline=None)


CHANGES = st.fixed_dictionaries(
    {
        "is_inner": st.booleans(),
        "member": st.integers(0, 5),
        "how": st.sampled_from(["json", "bytes", "flipped", "truncated", "missing"]),
        "json": JSON,
        "bytes": st.binary(max_size=300),
        "place": st.integers(0, 10_000),
        "bits": st.integers(1, 255),
    }
)
"""What is changed in an answer. It is drawn without the answer, which is never twice the same."""


def changed(answer: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that is wrong in one place: other JSON, other bytes, or fewer."""
    found: dict[str, Any] = json.loads(json.dumps(answer))
    inner = found["response"] if change["is_inner"] else found
    name, how = sorted(inner)[change["member"] % len(inner)], change["how"]
    if how == "missing":
        del inner[name]
    elif how == "json" or name not in FIELDS:
        inner[name] = change["json"]
    elif how == "bytes":
        inner[name] = websafe_encode(change["bytes"])
    else:
        data = bytearray(websafe_decode(inner[name]))
        place = change["place"] % len(data)
        if how == "flipped":
            data[place] ^= change["bits"]
        else:
            del data[place:]
        inner[name] = websafe_encode(bytes(data))
    return found


def is_read(read: Any, answer: Any) -> bool:
    """Return whether the answer is read, and not refused. Anything else that is raised fails the test."""
    try:
        found = read(PARTY, answer)
        if isinstance(found, ceremonies.Assertion):
            found.verify(ceremonies.read_creation(PARTY, CREATED).public_key)
    except Refused:
        return False
    return True


def of_each_kind(test: Any) -> Any:
    kinds = {"a creation": (ceremonies.read_creation, CREATED), "a signature": (ceremonies.read_assertion, SIGNED)}
    return pytest.mark.parametrize(("read", "answer"), kinds.values(), ids=kinds)(test)


@of_each_kind
def test_the_answers_themselves_are_read(read, answer):
    assert is_read(read, answer)
    assert is_read(read, json.dumps(answer))


@of_each_kind
def test_each_truncation_is_refused(read, answer):
    for name in FIELDS & {*answer["response"]} - {"userHandle"}:
        data = websafe_decode(answer["response"][name])
        for end in range(len(data)):
            cut = {**answer, "response": {**answer["response"], name: websafe_encode(data[:end])}}
            assert not is_read(read, cut), (name, end)
    text = json.dumps(answer)
    assert not any(is_read(read, text[:end]) for end in range(len(text)))


@of_each_kind
@pytest.mark.parametrize(
    "limits", [many, pytest.param(exhaustive, marks=pytest.mark.exhaustive)], ids=["a few", "many"]
)
def test_whatever_is_changed_is_read_or_refused(read, answer, limits):
    @limits
    @given(CHANGES)
    def check(change: Any) -> None:
        is_read(read, changed(answer, change))

    check()


def with_client_data(answer: dict[str, Any], **members: Any) -> dict[str, Any]:
    data = {**json.loads(websafe_decode(answer["response"]["clientDataJSON"])), **members}
    return {**answer, "response": {**answer["response"], "clientDataJSON": websafe_encode(json.dumps(data).encode())}}


def with_attestation(value: Any) -> dict[str, Any]:
    return {**CREATED, "response": {**CREATED["response"], "attestationObject": websafe_encode(cbor.encode(value))}}


HUGE = 2**33
LENGTHS = {
    "the id is a number": (ceremonies.read_assertion, {**SIGNED, "id": HUGE, "rawId": HUGE}),
    "the challenge is a number": (ceremonies.read_assertion, with_client_data(SIGNED, challenge=HUGE)),
    "the signature is a number": (
        ceremonies.read_assertion,
        {**SIGNED, "response": {**SIGNED["response"], "signature": HUGE}},
    ),
    "the authenticator data are a number": (
        ceremonies.read_creation,
        with_attestation({"fmt": "none", "attStmt": {}, "authData": HUGE}),
    ),
    "the attestation is a number": (ceremonies.read_creation, with_attestation(HUGE)),
    "the client data are nested deeply": (
        ceremonies.read_assertion,
        {**SIGNED, "response": {**SIGNED["response"], "clientDataJSON": websafe_encode(b"[" * 4000)}},
    ),
    "the attestation is nested deeply": (
        ceremonies.read_creation,
        {**CREATED, "response": {**CREATED["response"], "attestationObject": websafe_encode(b"\x81" * 16000)}},
    ),
    "an answer is longer than any": (ceremonies.read_assertion, {**SIGNED, "rawId": "A" * 10**6, "id": "A" * 10**6}),
}


@pytest.mark.parametrize(("read", "answer"), LENGTHS.values(), ids=LENGTHS)
def test_no_answer_takes_much_memory(read, answer):
    tracemalloc.start()
    try:
        assert not is_read(read, answer)
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()


def of(answer: dict[str, Any], change: Any) -> Any:
    """Return an answer with this change, or any JSON in its place."""
    return changed(answer, change) if isinstance(change, dict) and "how" in change else change


HARMLESS = (200, None)
"""The change was in a member that nobody reads, such as the way in which the authenticator is attached."""


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestAFuzzedRequest:
    @few
    @given(change=st.one_of(JSON, CHANGES))
    def test_to_sign_in_is_refused(self, change, device, another):
        browser = another()
        answer = of(device.sign(begin(browser)), change)
        refusals = {(400, "invalid"), (401, "factor_refused"), (401, "passkey_unknown")}
        assert outcome(post(browser, BY_PASSKEY, {"answer": answer})) in refusals | {HARMLESS}

    @few
    @given(change=st.one_of(JSON, CHANGES))
    def test_to_create_is_refused(self, change, signed_in, device):
        options = post(signed_in, PASSKEYS).json()["options"]
        answer = of(Authenticator().create(options), change)
        refusals = {(400, "invalid"), (400, "passkey_refused")}
        assert outcome(post(signed_in, PASSKEYS, {"credential": answer})) in refusals | {HARMLESS}

    @few
    @given(change=st.one_of(JSON, CHANGES))
    def test_to_answer_a_factor_is_refused(self, change, signed_in, device):
        options = post(signed_in, "/api/auth/reauthenticate", {"method": "passkey"}).json()["options"]
        answer = of(device.sign(options), change)
        found = post(signed_in, "/api/auth/reauthenticate", {"method": "passkey", "answer": answer})
        assert outcome(found) in {(400, "invalid"), (401, "invalid_credentials"), HARMLESS}


def outcome(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")
