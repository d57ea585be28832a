"""The settings: each default, where each may come from, what is refused, and what a mistake is told like."""

import re
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.tokens.pems import pem
from tokens import conf
from tokens.conf import SETTINGS, Mistake, TokenSettings, token_settings
from tokens.middleware import TokenMiddleware
from tokens.rates import NO_RATES, Rate, Rates

ORIGIN = "https://testserver"
OTHER_SECRET = "another secret that is long enough to be taken for a real one"


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


def claims_of_a_test(user: Any) -> dict[str, Any]:
    return {"tenant": 7}


DIGEST = "5e" * 32
HOOK = f"{__name__}.{claims_of_a_test.__name__}"

DEFAULTS: dict[str, Any] = {
    "MODES": ("cookie",),
    "ACCESS_LIFETIME": seconds(600),
    "IDLE_LIFETIME": timedelta(days=14),
    "ABSOLUTE_LIFETIME": timedelta(days=30),
    "BROWSER_SESSION_LIFETIME": timedelta(hours=12),
    "MAX_SESSIONS": 50,
    "REUSE_GRACE": seconds(30),
    "ACKNOWLEDGE_AFTER": seconds(90),
    "MAX_RECOVERIES": 8,
    "REVOCATION_LAG": seconds(1),
    "REVOCATION_STRICT": False,
    "REAUTHENTICATION_AGE": seconds(900),
    "MAX_HASHINGS": 0,
    "THROTTLES": NO_RATES,  # The tests' own settings say so.
    "ISSUER": ORIGIN,
    "AUDIENCE": ORIGIN,
    "CLIENT_ID": "latchkey",
    "ALGORITHM": "EdDSA",
    "SIGNING_KEYS": ("derived",),
    "CLAIMS_HOOK": "",
    "COOKIE_DOMAIN": "",
    "TRUSTED_ORIGINS": (),
    "DEVICE_BOUND": "off",
    "INTROSPECTION_CLIENTS": (),
    "METRICS_ALLOWED": ("127.0.0.0/8", "::1"),
    "SESSION_RETENTION": timedelta(days=30),
    "EVENT_RETENTION": timedelta(days=400),
}
GIVEN: dict[str, tuple[Any, str, Any]] = {
    # name: (in TOKENS, the same in the environment, what comes out)
    "MODES": (["body", "cookie"], "body, cookie", ("body", "cookie")),
    "ACCESS_LIFETIME": (1200, "1200", seconds(1200)),
    "IDLE_LIFETIME": (86400, "86400", seconds(86400)),
    "ABSOLUTE_LIFETIME": (86401, " 86401 ", seconds(86401)),
    "BROWSER_SESSION_LIFETIME": (3600, "3600", seconds(3600)),
    "MAX_SESSIONS": (1, "1", 1),
    "REUSE_GRACE": (20, "20", seconds(20)),
    "ACKNOWLEDGE_AFTER": (120, "120", seconds(120)),
    "MAX_RECOVERIES": (1, "01", 1),
    "REVOCATION_LAG": (5, "5", seconds(5)),
    "REVOCATION_STRICT": (True, "True", True),
    "REAUTHENTICATION_AGE": (60, "60", seconds(60)),
    "MAX_HASHINGS": (1, "1", 1),
    "THROTTLES": (
        {"sign_in_account": "5/h", "refresh_session": "off"},
        "sign_in_account=5/h, refresh_session=off",
        replace(Rates(), sign_in_account=Rate(5, 3600), refresh_session=None),
    ),
    "ISSUER": ("https://auth.example.org", "https://auth.example.org", "https://auth.example.org"),
    "AUDIENCE": ("api", "api", "api"),
    "CLIENT_ID": ("web", " web ", "web"),
    "ALGORITHM": ("ES256", " ES256 ", "ES256"),
    "SIGNING_KEYS": ([pem("EdDSA").strip(), "derived"], f"{pem('EdDSA')},derived", (pem("EdDSA").strip(), "derived")),
    "CLAIMS_HOOK": (HOOK, HOOK, HOOK),
    "COOKIE_DOMAIN": ("example.org", "example.org", "example.org"),
    "DEVICE_BOUND": ("offer", "offer", "offer"),
    "TRUSTED_ORIGINS": (
        ("https://app.example.org", "http://localhost:3000"),
        "https://app.example.org,http://localhost:3000",
        ("https://app.example.org", "http://localhost:3000"),
    ),
    "INTROSPECTION_CLIENTS": ([f"api:{DIGEST}"], f"api:{DIGEST}", (f"api:{DIGEST}",)),
    "METRICS_ALLOWED": (["10.0.0.7", "fd00::/8"], "10.0.0.7,fd00::/8", ("10.0.0.7", "fd00::/8")),
    "SESSION_RETENTION": (1, "1", seconds(1)),
    "EVENT_RETENTION": (1, "1", seconds(1)),
}
NEEDED_BESIDE = {"ALGORITHM": {"SIGNING_KEYS": pem("ES256")}}
"""Settings that do not stand alone: a key that is derived is for EdDSA."""
DURATIONS = [name for name, item in SETTINGS.items() if item.metadata["kind"] == "seconds"]
WHOLE_NUMBERS = [name for name, item in SETTINGS.items() if item.metadata["kind"] in {"seconds", "count"}]
MAY_BE_ZERO = {"REUSE_GRACE", "MAX_HASHINGS"}


@pytest.fixture
def environment() -> Iterator[Callable[..., None]]:
    """Sets environment variables, or removes those that are None; what was read must not reach into another test."""
    with pytest.MonkeyPatch.context() as patch:

        def give(**variables: str | None) -> None:
            for name, value in variables.items():
                if value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            forget()

        yield give
    forget()


def forget() -> None:
    conf.read.cache_clear()
    conf.token_settings.cache_clear()


def mistakes() -> list[Mistake]:
    return list(conf.read()[1])


def ids() -> list[str]:
    return [mistake.id for mistake in mistakes()]


def value_of(name: str) -> Any:
    return getattr(token_settings(), name.lower())


# Where a setting comes from


def test_the_tables_of_this_test_have_every_setting():
    assert set(DEFAULTS) == set(GIVEN) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_nobody_gives_has_its_default(name):
    assert value_of(name) == DEFAULTS[name]
    assert mistakes() == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_taken_from_the_dictionary(name, settings, environment):
    environment(**{f"TOKENS_{name}": None})
    given, _, expected = GIVEN[name]
    assert expected != DEFAULTS[name]
    settings.TOKENS = {name: given, **{beside: [text] for beside, text in NEEDED_BESIDE.get(name, {}).items()}}
    assert value_of(name) == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_taken_from_the_environment(name, environment):
    _, text, expected = GIVEN[name]
    beside = {f"TOKENS_{other}": value for other, value in NEEDED_BESIDE.get(name, {}).items()}
    environment(**{f"TOKENS_{name}": text}, **beside)
    assert value_of(name) == expected


def test_the_environment_has_the_last_word(settings, environment):
    settings.TOKENS = {"ACCESS_LIFETIME": 300, "MAX_SESSIONS": 5}
    environment(TOKENS_ACCESS_LIFETIME="1200")
    assert token_settings().access_lifetime == seconds(1200)
    assert token_settings().max_sessions == 5


def test_a_good_value_in_the_environment_does_not_hide_a_bad_one_in_the_dictionary(settings, environment):
    settings.TOKENS = {"ACCESS_LIFETIME": "soon"}
    environment(TOKENS_ACCESS_LIFETIME="1200")
    assert ids() == ["E001"]


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("1", True), ("ON", True), ("False", False), ("0", False)])
def test_a_flag_in_the_environment_has_several_spellings(text, flag, environment):
    environment(TOKENS_REVOCATION_STRICT=text)
    assert token_settings().revocation_strict is flag


def test_an_empty_list_in_the_environment_is_an_empty_list(settings, environment):
    settings.TOKENS = {"TRUSTED_ORIGINS": ["https://app.example.org"]}
    environment(TOKENS_TRUSTED_ORIGINS="")
    assert token_settings().trusted_origins == ()


def test_the_issuer_and_the_audience_follow_our_origin(settings):
    settings.ORIGIN = "https://auth.example.org"
    assert (token_settings().issuer, token_settings().audience) == ("https://auth.example.org",) * 2


def test_the_claims_hook_is_the_function_itself(settings):
    assert token_settings().claims is None
    settings.TOKENS = {"CLAIMS_HOOK": HOOK}
    assert token_settings().claims is not None
    assert token_settings().claims(None) == {"tenant": 7}  # type: ignore[misc]


# Values that are none


def refused_in_the_dictionary() -> Iterator[Any]:
    for name in WHOLE_NUMBERS:
        yield from [(name, -1), (name, 1.5), (name, 2.0), (name, True), (name, "600"), (name, None), (name, 10**10 + 1)]
        yield name, [600]
        yield name, timedelta(seconds=600)
    yield from [("THROTTLES", value) for value in (5, None, True, "on", [], {"sign_in": "1/m"}, {5: "1/m"})]
    yield from [("THROTTLES", {"reset_account": value}) for value in (5, None, "", "5", "0/m", "5/0m", "5/w", "-1/m")]
    yield from [("REVOCATION_STRICT", 1), ("REVOCATION_STRICT", "true"), ("REVOCATION_STRICT", None)]
    for name in ("ISSUER", "AUDIENCE", "CLIENT_ID", "ALGORITHM", "CLAIMS_HOOK", "COOKIE_DOMAIN"):
        yield from [(name, ""), (name, None), (name, 5), (name, b"bytes"), (name, ["a"])]
    for name in ("MODES", "TRUSTED_ORIGINS", "SIGNING_KEYS", "INTROSPECTION_CLIENTS"):
        yield from [
            (name, "cookie"),
            (name, 5),
            (name, None),
            (name, ["cookie", 5]),
            (name, {"cookie": 1}),
            (name, b"x"),
        ]


@pytest.mark.parametrize(("name", "value"), list(refused_in_the_dictionary()))
def test_a_value_that_is_none_is_refused(name, value, settings):
    settings.TOKENS = {name: value}
    assert ids()[0] == "E001"
    with pytest.raises(ImproperlyConfigured, match=re.escape(f'TOKENS["{name}"]: must be ')):
        token_settings()


@pytest.mark.parametrize(
    "text", ["", " ", "0.5", "600.0", "1e3", "-5", "+5", "1_000", "0x10", "10m", "٣", "６００", "²"]
)
@pytest.mark.parametrize("name", ["ACCESS_LIFETIME", "MAX_SESSIONS", "REUSE_GRACE"])
def test_text_that_is_no_whole_number_is_refused(name, text, environment):
    environment(**{f"TOKENS_{name}": text})
    with pytest.raises(ImproperlyConfigured, match=f"^TOKENS_{name}: must be a whole number"):
        token_settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("THROTTLES", "on"),
        ("THROTTLES", "reset_account"),
        ("THROTTLES", "reset_account=5/h=5/h"),
        ("REVOCATION_STRICT", ""),
        ("REVOCATION_STRICT", "yes please"),
        ("REVOCATION_STRICT", "2"),
        ("ISSUER", ""),
        ("CLIENT_ID", "  "),
        ("ACCESS_LIFETIME", "9" * 5000),
    ],
)
def test_other_text_that_cannot_be_meant_is_refused(name, text, environment):
    environment(**{f"TOKENS_{name}": text})
    assert "E001" in ids()


@pytest.mark.parametrize("name", [name for name in WHOLE_NUMBERS if name not in MAY_BE_ZERO])
def test_no_other_number_may_be_zero(name, settings):
    settings.TOKENS = {name: 0}
    with pytest.raises(ImproperlyConfigured, match="must be at least 1"):
        token_settings()


@pytest.mark.parametrize("tokens", [None, [], "ACCESS_LIFETIME=600", 5, ("MODES",)])
def test_a_tokens_setting_that_is_no_dictionary_is_refused(tokens, settings):
    settings.TOKENS = tokens
    assert ids() == ["E017"]


def test_a_project_without_a_tokens_setting_has_the_defaults(settings):
    del settings.TOKENS
    assert token_settings().access_lifetime == seconds(600)


# Names that are none


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("ACCES_LIFETIME", "Did you mean ACCESS_LIFETIME?"),
        ("access_lifetime", "Did you mean ACCESS_LIFETIME?"),
        ("REUSE_GRACE_PERIOD", "Did you mean REUSE_GRACE?"),
        ("REFRESH_TOKEN_LIFETIME", "LIFETIME"),
        ("ORIGIN", "There are: MODES, "),
        ("", "There are: MODES, "),
        (5, "There are: MODES, "),
    ],
)
def test_an_unknown_name_in_the_dictionary_is_an_error_with_a_suggestion(name, suggestion, settings):
    settings.TOKENS = {name: 600}
    [mistake] = mistakes()
    assert (mistake.id, mistake.serious) == ("E002", True)
    assert suggestion in mistake.hint
    with pytest.raises(ImproperlyConfigured, match="is not a setting"):
        token_settings()


@pytest.mark.parametrize("name", ["TOKENS_ACCES_LIFETIME", "TOKENS_", "TOKENS_PER_SECOND"])
def test_an_unknown_name_in_the_environment_is_only_a_warning(name, environment):
    environment(**{name: "600"})
    [mistake] = mistakes()
    assert (mistake.id, mistake.serious) == ("E002", False)
    assert name in mistake.message
    assert token_settings().access_lifetime == seconds(600)


def test_other_variables_of_the_environment_are_not_looked_at(environment):
    environment(ACCESS_LIFETIME="5", MY_TOKENS_ACCESS_LIFETIME="5", TOKENSACCESS_LIFETIME="5")
    assert mistakes() == []
    assert token_settings().access_lifetime == seconds(600)


# Durations together


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
def test_every_number_of_one_starts_when_it_alone_is_given(name, settings):
    settings.TOKENS = {name: 1}
    assert value_of(name) in {1, seconds(1)}
    assert [mistake for mistake in mistakes() if mistake.serious] == []


@pytest.mark.parametrize("name", DURATIONS)
def test_every_duration_of_one_second_starts_from_the_environment(name, environment):
    environment(**{f"TOKENS_{name}": "1"})
    assert value_of(name) == seconds(1)


def test_all_durations_of_one_second_start_together(settings):
    settings.TOKENS = {name: 1 for name in DURATIONS if name not in {"REUSE_GRACE", "ACKNOWLEDGE_AFTER"}}
    assert [mistake for mistake in mistakes() if mistake.serious] == []


@pytest.mark.parametrize("access", [1, 2, 3, 10, 59, 60, 61, 179, 180, 181, 600, 86400])
def test_the_defaults_of_the_protocol_fit_any_access_lifetime(access, settings):
    settings.TOKENS = {"ACCESS_LIFETIME": access}
    found = token_settings()
    assert timedelta() < found.reuse_grace < found.acknowledge_after <= found.access_lifetime / 2
    assert found.acknowledge_after <= seconds(90)


@pytest.mark.parametrize("still", [1, 2, 29, 30, 31, 90, 300])
def test_the_default_grace_fits_the_still_time(still, settings):
    settings.TOKENS = {"ACKNOWLEDGE_AFTER": still}
    assert timedelta() < token_settings().reuse_grace < seconds(still)
    assert token_settings().reuse_grace <= seconds(30)


@pytest.mark.parametrize(
    ("grace", "access"), [(1, 600), (61, 600), (90, 600), (200, 600), (299, 600), (25, 60), (29, 60), (20, 50), (1, 3)]
)
def test_the_default_still_time_fits_the_grace_wherever_one_can(grace, access, settings):
    settings.TOKENS = {"REUSE_GRACE": grace, "ACCESS_LIFETIME": access}
    assert seconds(grace) < token_settings().acknowledge_after <= token_settings().access_lifetime / 2


INEQUALITIES = [
    # grace, still time, access lifetime; what is said; why
    (30, 90, 600, [], "the defaults"),
    (30, 90, 180, [], "the still time is just half an access token's life"),
    (90, 90, 600, ["E004"], "the grace must be less than the still time"),
    (89, 90, 600, ["W002"], "and is, by a second"),
    (91, 90, 600, ["E004"], "more than the still time"),
    (30, 91, 181, ["E005"], "the still time is more than half an access token's life"),
    (1, 33, 60, ["E005"], "at a minute that is still an error"),
    (1, 33, 59, ["e005"], "below it only a warning"),
    (2, 2, 1, ["E004", "e005"], "two mistakes, and both are told"),
    (30, 89, 600, ["W002"], "less than two graces and 30 s"),
    (29, 87, 600, ["W002"], "the same with another grace"),
    (29, 88, 600, [], "exactly as much"),
    (0, 1, 600, ["W001"], "strict: no grace is warned about, and nothing else asks for 30 s"),
]


@pytest.mark.parametrize(
    ("grace", "still", "access", "said", "why"), INEQUALITIES, ids=[case[4] for case in INEQUALITIES]
)
def test_the_inequalities_of_the_protocol(grace, still, access, said, why, settings):
    settings.TOKENS = {"REUSE_GRACE": grace, "ACKNOWLEDGE_AFTER": still, "ACCESS_LIFETIME": access}
    found = [mistake.id if mistake.serious or mistake.id[0] == "W" else mistake.id.lower() for mistake in mistakes()]
    assert sorted(found) == sorted(said), why


def test_a_grace_of_zero_is_strict_and_warned_about(settings):
    settings.TOKENS = {"REUSE_GRACE": 0}
    assert token_settings().policy.strict
    [mistake] = mistakes()
    assert (mistake.id, mistake.serious) == ("W001", False)
    assert "parallel requests" in mistake.message


def test_the_policy_of_the_protocol_is_made_of_the_settings(settings):
    settings.TOKENS = {"REUSE_GRACE": 10, "ACKNOWLEDGE_AFTER": 60, "MAX_RECOVERIES": 3}
    policy = token_settings().policy
    assert (policy.grace, policy.acknowledge_after, policy.max_recoveries) == (seconds(10), seconds(60), 3)


# Modes


def test_a_mode_that_is_none_is_refused(settings):
    settings.TOKENS = {"MODES": ["cookie", "Body"]}
    [mistake] = mistakes()
    assert mistake.id == "E003"
    assert "'Body'" in mistake.message
    assert mistake.hint == f"There are: {', '.join(conf.MODES)}."


@pytest.mark.parametrize("modes", [[], ()])
def test_a_server_without_a_mode_is_refused(modes, settings):
    settings.TOKENS = {"MODES": modes}
    assert ids() == ["E015"]


def test_no_mode_in_the_environment_is_refused(environment):
    environment(TOKENS_MODES=" , ")
    assert ids() == ["E015"]


# Origins, and what is unsafe in production


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "https://example.org:8443",
        "https://xn--bcher-kva.example",
        "http://localhost:3000",
        "http://127.0.0.1:8000",
        "http://my_service:8000",
        "https://[::1]:8443",
        "http://example.org:443",
        "https://example.org:80",
        "http://example.org:8080",
    ],
)
def test_an_origin_as_browsers_write_it_is_taken(origin, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": [origin]}
    assert token_settings().trusted_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "null",
        "example.org",
        "//example.org",
        "https://",
        "https://:8443",
        "https://example.org/",
        "https://example.org/path",
        "https://example.org?query",
        "https://example.org#fragment",
        "https://example.org\n",
        " https://example.org",
        "https://exa mple.org",
        "https://*.example.org",
        "ftp://example.org",
        "HTTPS://example.org",
        "https://EXAMPLE.org",
        "https://bücher.example",
        "https://user:password@example.org",
        "https://example.org:",
        "https://example.org:port",
        "https://example.org:443",
        "http://example.org:80",
        "https://[",
        "https://[::1",
    ],
)
def test_an_origin_that_no_browser_would_send_is_refused(origin, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": ["https://good.example", origin]}
    [mistake] = mistakes()
    assert (mistake.id, mistake.serious) == ("E006", True)
    assert mistake.message.startswith("TRUSTED_ORIGINS is no origin")


@pytest.mark.parametrize("origin", ["", None, "example.org", "https://example.org/", "https://[", 5])
def test_our_own_origin_must_be_one_too(origin, settings):
    settings.ORIGIN = origin
    assert any(mistake.id == "E006" and mistake.message.startswith("ORIGIN ") for mistake in mistakes())
    with pytest.raises(ImproperlyConfigured, match="ORIGIN is no origin"):
        token_settings()


def test_plain_http_is_refused_with_debug_off(settings):
    settings.ORIGIN = "http://localhost:8000"
    assert ids() == ["E007"]
    settings.DEBUG = True
    assert mistakes() == []
    assert not token_settings().secure


def test_over_https_cookies_are_secure_whatever_debug_says(settings):
    assert token_settings().secure
    settings.DEBUG = True
    assert token_settings().secure


WEAK = [
    ("x" * 10, "short"),
    (OTHER_SECRET[:49], "a character too short"),
    ("abab" * 25, "hardly any different characters"),
    ("django-insecure-" + OTHER_SECRET, "made by startproject"),
]


@pytest.mark.parametrize("secret", [secret for secret, _ in WEAK], ids=[why for _, why in WEAK])
def test_a_weak_secret_is_refused_with_debug_off(secret, settings):
    settings.SECRET_KEY = secret
    [mistake] = mistakes()
    assert (mistake.id, mistake.message.partition(" ")[0]) == ("E008", "SECRET_KEY")
    assert secret not in mistake.message + mistake.hint
    settings.DEBUG = True
    assert mistakes() == []


@pytest.mark.parametrize("secret", [secret for secret, _ in WEAK], ids=[why for _, why in WEAK])
def test_a_weak_fallback_is_refused_with_debug_off(secret, settings):
    settings.SECRET_KEY_FALLBACKS = [OTHER_SECRET, secret]
    [mistake] = mistakes()
    assert (mistake.id, mistake.message.partition(" ")[0]) == ("E008", "SECRET_KEY_FALLBACKS")
    settings.DEBUG = True
    assert mistakes() == []


def test_a_secret_of_fifty_characters_will_do(settings):
    settings.SECRET_KEY = OTHER_SECRET[:50]
    settings.SECRET_KEY_FALLBACKS = [OTHER_SECRET]
    assert mistakes() == []


# The object


def test_every_mistake_is_named_at_once(settings, environment):
    settings.TOKENS = {"ACCES_LIFETIME": 600, "MAX_SESSIONS": 0, "MODES": ["letter"], "REUSE_GRACE": 0}
    environment(TOKENS_IDLE_LIFETIME="1e3", TOKENS_STRANGER="1")
    with pytest.raises(ImproperlyConfigured) as raised:
        token_settings()
    for named in ("ACCES_LIFETIME", "MAX_SESSIONS", "'letter'", "TOKENS_IDLE_LIFETIME"):
        assert named in str(raised.value)
    for warned_about in ("STRANGER", "REUSE_GRACE"):
        assert warned_about not in str(raised.value)


def test_a_server_with_a_mistake_does_not_start(settings):
    TokenMiddleware(lambda request: None)
    settings.TOKENS = {"ACCESS_LIFETIME": 0}
    with pytest.raises(ImproperlyConfigured, match="ACCESS_LIFETIME"):
        TokenMiddleware(lambda request: None)


def test_the_object_cannot_be_changed():
    found = token_settings()
    for item in fields(TokenSettings):
        with pytest.raises(FrozenInstanceError):
            setattr(found, item.name, None)
    with pytest.raises((FrozenInstanceError, TypeError)):
        found.anything_else = 1  # type: ignore[attr-defined]
    assert isinstance(found.modes, tuple)
    assert isinstance(found.trusted_origins, tuple)


def test_a_list_that_is_changed_later_does_not_change_the_object(settings):
    origins = ["https://app.example.org"]
    settings.TOKENS = {"TRUSTED_ORIGINS": origins}
    found = token_settings()
    origins.append("https://evil.example")
    assert found.trusted_origins == token_settings().trusted_origins == ("https://app.example.org",)


def test_the_object_is_made_once_and_anew_when_a_setting_changes(settings):
    before = token_settings()
    assert token_settings() is before
    settings.TOKENS = {"ACCESS_LIFETIME": 300}
    assert token_settings().access_lifetime == seconds(300)
    settings.ORIGIN = "https://auth.example.org"
    assert token_settings().origin == "https://auth.example.org"
    del settings.TOKENS
    settings.TOKENS = {}
    assert token_settings().access_lifetime == seconds(600)
    assert before.access_lifetime == seconds(600)


@pytest.mark.parametrize("item", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_says_what_it_means_and_in_which_unit(item):
    assert item.metadata["doc"]
    assert item.metadata["unit"] or item.metadata["kind"] in {"flag", "text", "list"}


def test_nothing_else_in_the_project_reads_the_dictionary():
    root = Path(__file__).parents[2]
    reads = re.compile(r"settings\.TOKENS|\bsettings, \"TOKENS\"|TOKENS_[A-Z]+\b.*environ|environ.*TOKENS_")
    files = [path for package in ("tokens", "accounts") for path in (root / package).rglob("*.py")]
    assert len(files) > 20
    assert [path.name for path in files if reads.search(path.read_text())] == ["conf.py"]


def test_a_developers_settings_do_under_a_test_runner_which_turns_debug_off(settings, monkeypatch):
    monkeypatch.setattr("tests.settings.DEBUG", True)
    settings.ORIGIN, settings.SECRET_KEY = "http://localhost:8000", "django-insecure-" + OTHER_SECRET
    assert not settings.DEBUG
    assert mistakes() == []
