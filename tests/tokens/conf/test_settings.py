"""The settings: the default of each, its sources, the values that are rejected, and how mistakes are reported."""

import re
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import ERROR, CheckMessage
from django.core.exceptions import ImproperlyConfigured

from tests import settings as settings_of_the_suite
from tests.tokens.protocol.pems import pem
from tokens import conf
from tokens.conf import SETTINGS, token_settings
from tokens.conf.body_limits import DEFAULT, BodyLimits
from tokens.conf.lifetimes import Limits
from tokens.conf.methods import DEFAULT_LEVELS
from tokens.conf.rates import NO_RATES, Rate, Rates

ORIGIN = "https://testserver"
OTHER_SECRET = "another secret that is long enough to be taken for a real one"
AUTH = "https://auth.example.org"
APP, LOCALHOST = "https://app.example.org", "http://localhost:3000"


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def claims_of_a_test(user: Any, session: Any) -> dict[str, Any]:
    return {"tenant": 7}


DIGEST = "5e" * 32
HOOK = f"{__name__}.{claims_of_a_test.__name__}"
KEY = pem("EdDSA").strip()
BACKEND = "ldap.Backend"
THROTTLES = replace(Rates(), sign_in_account=Rate(5, 3600), refresh_session=None)

TABLE: dict[str, tuple[Any, Any, str, Any]] = {
    # name: default, another value in the dictionary, the same in the environment, the resulting value
    "MODES": (("cookie",), ["body", "cookie"], "body, cookie", ("body", "cookie")),
    "ACCESS_LIFETIME": (seconds(600), 1200, "1200", seconds(1200)),
    "IDLE_LIFETIME": (days(14), 86400, "86400", days(1)),
    "ABSOLUTE_LIFETIME": (days(30), 86401, " 86401 ", seconds(86401)),
    "BROWSER_SESSION_LIFETIME": (seconds(12 * 3600), 3600, "3600", seconds(3600)),
    "REMEMBER": ("always", "never", " never ", "never"),
    "MAX_SESSIONS": (50, 1, "1", 1),
    "REUSE_GRACE": (seconds(30), 20, "20", seconds(20)),
    "ACKNOWLEDGE_AFTER": (seconds(90), 120, "120", seconds(120)),
    "MAX_RECOVERIES": (8, 1, "01", 1),
    "REVOCATION_LAG": (seconds(1), 5, "5", seconds(5)),
    "REVOCATION_STRICT": (False, True, "True", True),
    "TRUST_REQUEST_TIME": (False, True, "true", True),
    "REAUTHENTICATION_AGE": (seconds(900), 60, "60", seconds(60)),
    "TRUST_DEVICES_FOR": (seconds(30 * 86400), 86400, "86400", seconds(86400)),
    "REAUTHENTICATION_URL": ("sign-in-again", "/again", "/again", "/again"),
    "MAX_HASHINGS": (0, 1, "1", 1),
    "THROTTLES": (  # The settings of the test suite turn throttling off.
        NO_RATES,
        {"sign_in_account": "5/h", "refresh_session": "off"},
        "sign_in_account=5/h, refresh_session=off",
        THROTTLES,
    ),
    "BODY_LIMITS": (
        BodyLimits(),
        {"/files/": 9, "/x": "off"},
        "/files/=9, /x=off",
        BodyLimits((("/files/", 9), ("/x", None), ("/", DEFAULT))),
    ),
    "ISSUER": (ORIGIN, AUTH, AUTH, AUTH),
    "AUDIENCE": (ORIGIN, "api", "api", "api"),
    "SERVICE_AUDIENCE": ("", "services", "services", "services"),
    "CLIENT_ID": ("latchkey", "web", " web ", "web"),
    "ALGORITHM": ("EdDSA", "ES256", " ES256 ", "ES256"),
    "SIGNING_KEYS": (("derived",), [KEY, "derived"], f"{pem('EdDSA')},derived", (KEY, "derived")),
    "CLAIMS_HOOK": ("", HOOK, HOOK, HOOK),
    "TENANT_HOOK": ("", "shop.tenants.of", " shop.tenants.of ", "shop.tenants.of"),
    "TENANT_KEYS": ("", "shop.tenants.keys", "shop.tenants.keys", "shop.tenants.keys"),
    "TENANT_CONTEXT": ("", "shop.tenants.context", "shop.tenants.context", "shop.tenants.context"),
    "OWN_METHODS": ((), ["badge"], "badge", ("badge",)),
    "BACKEND_METHODS": (
        (),
        {BACKEND: ["pwd", "otp"], f"{BACKEND}2": []},
        f"{BACKEND}=pwd otp, {BACKEND}2=",
        ((BACKEND, ("pwd", "otp")), (f"{BACKEND}2", ())),
    ),
    "ACR_VALUES": (
        DEFAULT_LEVELS,
        {"low": ["pwd", "otp"], "high": ["hwk mfa"]},
        "low=pwd, low=otp, high=hwk mfa",
        (("low", (frozenset({"pwd"}), frozenset({"otp"}))), ("high", (frozenset({"hwk", "mfa"}),))),
    ),
    "LIFETIMES": (
        (),
        {"aal2": {"absolute": 86400, "idle": 3600, "reopens": True}, "aal1": {"absolute": 9}, "aal3": {"idle": 1800}},
        "aal2=86400/3600/reopens, aal1 = 9, aal3=/1800",
        (
            ("aal2", Limits(days(1), seconds(3600), reopens=True)),
            ("aal1", Limits(seconds(9))),
            ("aal3", Limits(None, seconds(1800))),
        ),
    ),
    "SIGN_IN_POLICY": ("", "shop.policies.of", " shop.policies.of ", "shop.policies.of"),
    "FACTORS": (("tokens.web.factors.Password",), [HOOK], HOOK, (HOOK,)),
    "REQUIRED_FACTORS": ("nobody", "staff", " staff ", "staff"),
    "TRUST_DEVICE_BOUND_PASSKEYS": (False, True, "on", True),
    "COOKIE_DOMAIN": ("", "example.org", "example.org", "example.org"),
    "COOKIE_SUFFIX": ("", "shop", "shop", "shop"),
    "HTTP_COOKIE_NAMES": (True, False, "off", False),
    "TRUSTED_ORIGINS": ((), (APP, LOCALHOST), f"{APP},{LOCALHOST}", (APP, LOCALHOST)),
    "DEVICE_BOUND": ("offer", "off", "off", "off"),
    "INTROSPECTION_CLIENTS": ((), [f"api:{DIGEST}"], f"api:{DIGEST}", (f"api:{DIGEST}",)),
    "METRICS_ALLOWED": (
        ("127.0.0.0/8", "::1"),
        ["10.0.0.7", "fd00::/8"],
        "10.0.0.7,fd00::/8",
        ("10.0.0.7", "fd00::/8"),
    ),
    "SESSION_RETENTION": (days(30), 1, "1", seconds(1)),
    "EVENT_RETENTION": (days(400), 1, "1", seconds(1)),
    "ATTEMPT_RETENTION": (days(30), 1, "1", seconds(1)),
}
NEEDED_BESIDE = {"ALGORITHM": {"SIGNING_KEYS": pem("ES256")}}
"""Settings that need a second one. The default signing key is derived from SECRET_KEY, and such keys are EdDSA keys."""
DURATIONS = [name for name, item in SETTINGS.items() if item.metadata["kind"] == "seconds"]
WHOLE_NUMBERS = [name for name, item in SETTINGS.items() if item.metadata["kind"] in {"seconds", "count"}]
TEXTS = [name for name, item in SETTINGS.items() if item.metadata["kind"] == "text"]
MAY_BE_ZERO = {"REUSE_GRACE", "MAX_HASHINGS", "TRUST_DEVICES_FOR"}


@pytest.fixture
def environment() -> Iterator[Callable[..., None]]:
    """A function that sets environment variables, or removes those whose value is None.

    The settings are cached: without this fixture the next test would read the values of this one.
    """
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


def messages() -> list[CheckMessage]:
    return list(conf.read()[1])


def reported() -> list[str]:
    """Return the ids of all messages. Those that do not keep the server from starting are marked as warnings."""
    ids = [(str(message.id).removeprefix("tokens."), message.level) for message in messages()]
    return [id if level >= ERROR else f"{id} (warning)" for id, level in ids]


def value_of(name: str) -> Any:
    return getattr(token_settings(), name.lower())


class TestSources:
    def test_the_table_of_this_test_has_every_setting(self):
        assert set(TABLE) == set(SETTINGS)

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_setting_that_is_not_given_has_its_default(self, name, settings):
        settings.TOKENS = {}
        assert (value_of(name), messages()) == (TABLE[name][0], [])

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_setting_is_read_from_the_dictionary(self, name, settings, environment):
        environment(**{f"TOKENS_{name}": None})
        default, given, _, expected = TABLE[name]
        settings.TOKENS = {name: given, **{beside: [text] for beside, text in NEEDED_BESIDE.get(name, {}).items()}}
        assert value_of(name) == expected != default

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_setting_is_read_from_the_environment(self, name, environment):
        beside = {f"TOKENS_{other}": value for other, value in NEEDED_BESIDE.get(name, {}).items()}
        environment(**{f"TOKENS_{name}": TABLE[name][2]}, **beside)
        assert value_of(name) == TABLE[name][3]

    def test_the_environment_overrides_the_dictionary(self, settings, environment):
        settings.TOKENS = {"ACCESS_LIFETIME": 300, "MAX_SESSIONS": 5}
        environment(TOKENS_ACCESS_LIFETIME="1200")
        assert (token_settings().access_lifetime, token_settings().max_sessions) == (seconds(1200), 5)

    def test_a_valid_value_in_the_environment_does_not_hide_an_invalid_one_in_the_dictionary(
        self, settings, environment
    ):
        settings.TOKENS = {"ACCESS_LIFETIME": "soon"}
        environment(TOKENS_ACCESS_LIFETIME="1200")
        assert reported() == ["E001"]

    @pytest.mark.parametrize(
        ("text", "flag"),
        {"true": True, "1": True, "ON": True, "False": False, "0": False}.items(),
        ids=lambda given: None if isinstance(given, str) else "on" if given else "off",
    )
    def test_a_flag_in_the_environment_has_several_spellings(self, text, flag, environment):
        environment(TOKENS_REVOCATION_STRICT=text)
        assert token_settings().revocation_strict is flag

    def test_an_empty_list_in_the_environment_is_an_empty_list(self, settings, environment):
        settings.TOKENS = {"TRUSTED_ORIGINS": [APP]}
        environment(TOKENS_TRUSTED_ORIGINS="")
        assert token_settings().trusted_origins == ()

    def test_the_issuer_and_the_audience_default_to_the_projects_origin(self, settings):
        settings.ORIGIN = AUTH
        assert (token_settings().issuer, token_settings().audience) == (AUTH, AUTH)

    def test_the_claims_hook_is_imported(self, settings):
        assert token_settings().claims is None
        settings.TOKENS = {"CLAIMS_HOOK": HOOK}
        assert token_settings().claims is claims_of_a_test

    def test_a_project_without_a_tokens_setting_has_the_defaults(self, settings):
        del settings.TOKENS
        assert token_settings().access_lifetime == seconds(600)

    def test_other_environment_variables_are_ignored(self, environment):
        environment(ACCESS_LIFETIME="5", MY_TOKENS_ACCESS_LIFETIME="5", TOKENSACCESS_LIFETIME="5")
        assert (messages(), token_settings().access_lifetime) == ([], seconds(600))


def invalid_values() -> Iterator[tuple[str, Any]]:
    """A setting and a value in the dictionary that has another type than the setting, or is out of its range."""
    rates = [5, None, "", "5", "0/m", "5/0m", "5/w", "-1/m"]
    values: dict[tuple[str, ...], list[Any]] = {
        tuple(WHOLE_NUMBERS): [-1, 1.5, 2.0, True, "600", None, 10**10 + 1, [600], timedelta(seconds=600)],
        ("THROTTLES",): [
            5,
            None,
            True,
            "on",
            [],
            {"sign_in": "1/m"},
            {5: "1/m"},
            *({"reset_account": r} for r in rates),
        ],
        ("BODY_LIMITS",): [
            5,
            None,
            "off",
            [],
            {"files/": 5},
            {5: 5},
            *({"/": n} for n in (0, -1, True, 1.5, "5", None)),
        ],
        ("REVOCATION_STRICT",): [1, "true", None],
        tuple(TEXTS): ["", None, 5, b"x", ["a"]],
        ("MODES", "TRUSTED_ORIGINS", "SIGNING_KEYS", "INTROSPECTION_CLIENTS", "FACTORS"): [
            *("cookie", 5, None, ["cookie", 5], {"cookie": 1}, b"x")
        ],
    }
    for names, of_these in values.items():
        yield from ((name, value) for name in names for value in of_these)


NO_WHOLE_NUMBERS = ["", " ", "0.5", "600.0", "1e3", "-5", "+5", "1_000", "0x10", "10m", "٣", "６００", "²"]
INVALID_TEXTS = [
    *(("THROTTLES", text) for text in ("on", "reset_account", "reset_account=5/h=5/h")),
    *(("BODY_LIMITS", text) for text in ("off", "5", "/=", "/=-1", "files/=5", "/=٣")),
    *(("REVOCATION_STRICT", text) for text in ("", "yes please", "2")),
    *(("ISSUER", ""), ("CLIENT_ID", "  "), ("ACCESS_LIFETIME", "9" * 5000)),
]
UNKNOWN_NAMES = {
    "ACCES_LIFETIME": "Did you mean ACCESS_LIFETIME?",
    "access_lifetime": "Did you mean ACCESS_LIFETIME?",
    "REUSE_GRACE_PERIOD": "Did you mean REUSE_GRACE?",
    "REFRESH_TOKEN_LIFETIME": "LIFETIME",
    "ORIGIN": "The settings are MODES, ",
    "": "The settings are MODES, ",
    5: "The settings are MODES, ",
}


class TestInvalidValues:
    @pytest.mark.parametrize(("name", "value"), list(invalid_values()), ids=repr)
    def test_a_value_of_another_type_or_out_of_range_is_rejected(self, name, value, settings):
        settings.TOKENS = {name: value}
        assert reported()[0] == "E001"
        with pytest.raises(ImproperlyConfigured, match=re.escape(f'TOKENS["{name}"]: must be ')):
            token_settings()

    @pytest.mark.parametrize("text", NO_WHOLE_NUMBERS)
    @pytest.mark.parametrize("name", ["ACCESS_LIFETIME", "MAX_SESSIONS", "REUSE_GRACE"])
    def test_text_that_is_no_whole_number_is_rejected(self, name, text, environment):
        environment(**{f"TOKENS_{name}": text})
        with pytest.raises(ImproperlyConfigured, match=f"^TOKENS_{name}: must be a whole number"):
            token_settings()

    @pytest.mark.parametrize(("name", "text"), INVALID_TEXTS, ids=lambda text: text[:25])
    def test_other_text_that_is_no_value_is_rejected(self, name, text, environment):
        environment(**{f"TOKENS_{name}": text})
        assert "E001" in reported()

    @pytest.mark.parametrize("name", [name for name in WHOLE_NUMBERS if name not in MAY_BE_ZERO])
    def test_no_other_number_may_be_zero(self, name, settings):
        settings.TOKENS = {name: 0}
        with pytest.raises(ImproperlyConfigured, match="must be at least 1"):
            token_settings()

    @pytest.mark.parametrize("tokens", [None, [], "ACCESS_LIFETIME=600", 5, ("MODES",)], ids=repr)
    def test_a_tokens_setting_that_is_no_dictionary_is_rejected(self, tokens, settings):
        settings.TOKENS = tokens
        assert reported() == ["E017"]

    @pytest.mark.parametrize(("name", "suggestion"), UNKNOWN_NAMES.items(), ids=map(repr, UNKNOWN_NAMES))
    def test_an_unknown_name_in_the_dictionary_is_an_error_with_a_suggestion(self, name, suggestion, settings):
        settings.TOKENS = {name: 600}
        assert reported() == ["E002"]
        assert suggestion in messages()[0].hint
        with pytest.raises(ImproperlyConfigured, match="is not a setting"):
            token_settings()

    @pytest.mark.parametrize("name", ["TOKENS_ACCES_LIFETIME", "TOKENS_", "TOKENS_PER_SECOND"])
    def test_an_unknown_name_in_the_environment_is_only_a_warning(self, name, environment):
        environment(**{name: "600"})
        assert reported() == ["E002 (warning)"]
        assert name in messages()[0].msg
        assert messages()[0].hint
        assert token_settings().access_lifetime == seconds(600)

    def test_an_unknown_mode_is_rejected(self, settings):
        settings.TOKENS = {"MODES": ["cookie", "Body"]}
        assert reported() == ["E003"]
        [message] = messages()
        assert "'Body'" in message.msg
        assert message.hint == f"The storage modes are {', '.join(conf.MODES)}."

    @pytest.mark.parametrize("modes", [[], ()], ids=repr)
    def test_a_server_without_a_mode_is_rejected(self, modes, settings):
        settings.TOKENS = {"MODES": modes}
        assert reported() == ["E015"]

    def test_an_empty_list_of_modes_in_the_environment_is_rejected(self, environment):
        environment(TOKENS_MODES=" , ")
        assert reported() == ["E015"]


INEQUALITIES = {
    # REUSE_GRACE, ACKNOWLEDGE_AFTER, ACCESS_LIFETIME, and the checks that fail. ACKNOWLEDGE_AFTER is the still time.
    "the defaults": (30, 90, 600, []),
    "the still time is exactly half of an access token's lifetime": (30, 90, 180, []),
    "the grace equals the still time": (90, 90, 600, ["E004"]),
    "the grace is one second less than the still time": (89, 90, 600, ["W002 (warning)"]),
    "the grace is more than the still time": (91, 90, 600, ["E004"]),
    "the still time is more than half of an access token's lifetime": (30, 91, 181, ["E005"]),
    "the same with a lifetime of a minute": (1, 33, 60, ["E005"]),
    "the same with a lifetime below a minute": (1, 33, 59, ["E005 (warning)"]),
    "two mistakes": (2, 2, 1, ["E004", "E005 (warning)"]),
    "two warnings": (7, 8, 10, ["E005 (warning)", "W002 (warning)"]),
    "the still time is less than two graces and 30 s": (30, 89, 600, ["W002 (warning)"]),
    "the same with another grace": (29, 87, 600, ["W002 (warning)"]),
    "the still time is exactly two graces and 30 s": (29, 88, 600, []),
    "strict mode needs no 30 s": (0, 1, 600, ["W001 (warning)"]),
}
GRACES_THAT_FIT = [*((grace, 600) for grace in (1, 61, 90, 200, 299)), (25, 60), (29, 60), (20, 50), (1, 3)]


class TestDurations:
    @pytest.mark.parametrize("name", WHOLE_NUMBERS)
    def test_a_server_with_any_one_number_set_to_one_starts(self, name, settings):
        settings.TOKENS = {name: 1}
        assert value_of(name) in {1, seconds(1)}

    def test_a_server_with_all_durations_of_a_second_starts(self, settings):
        settings.TOKENS = {name: 1 for name in DURATIONS if name not in {"REUSE_GRACE", "ACKNOWLEDGE_AFTER"}}
        token_settings()

    @pytest.mark.parametrize(
        "access", [1, 2, 3, 10, 59, 60, 61, 179, 180, 181, 600, 86400], ids=lambda access: f"{access} s"
    )
    def test_the_defaults_of_the_protocol_fit_any_access_lifetime(self, access, settings):
        settings.TOKENS = {"ACCESS_LIFETIME": access}
        found = token_settings()
        assert timedelta() < found.reuse_grace < found.acknowledge_after <= found.access_lifetime / 2
        assert found.acknowledge_after <= seconds(90)

    @pytest.mark.parametrize("still", [1, 2, 29, 30, 31, 90, 300], ids=lambda still: f"{still} s")
    def test_the_default_grace_fits_the_still_time(self, still, settings):
        settings.TOKENS = {"ACKNOWLEDGE_AFTER": still}
        assert timedelta() < token_settings().reuse_grace < seconds(still)
        assert token_settings().reuse_grace <= seconds(30)

    @pytest.mark.parametrize(("grace", "access"), GRACES_THAT_FIT, ids=lambda value: f"{value} s")
    def test_the_default_still_time_fits_the_grace_if_any_can(self, grace, access, settings):
        settings.TOKENS = {"REUSE_GRACE": grace, "ACCESS_LIFETIME": access}
        assert seconds(grace) < token_settings().acknowledge_after <= token_settings().access_lifetime / 2

    @pytest.mark.parametrize(("grace", "still", "access", "expected"), INEQUALITIES.values(), ids=INEQUALITIES)
    def test_the_inequalities_of_the_protocol_are_checked(self, grace, still, access, expected, settings):
        settings.TOKENS = {"REUSE_GRACE": grace, "ACKNOWLEDGE_AFTER": still, "ACCESS_LIFETIME": access}
        assert sorted(reported()) == expected

    def test_a_grace_of_zero_is_strict_and_a_warning_explains_the_consequences(self, settings):
        settings.TOKENS = {"REUSE_GRACE": 0}
        assert token_settings().policy.strict
        assert reported() == ["W001 (warning)"]
        assert "parallel requests" in messages()[0].msg

    def test_the_policy_of_the_protocol_is_made_of_the_settings(self, settings):
        settings.TOKENS = {"REUSE_GRACE": 10, "ACKNOWLEDGE_AFTER": 60, "MAX_RECOVERIES": 3}
        policy = token_settings().policy
        assert (policy.grace, policy.acknowledge_after, policy.max_recoveries) == (seconds(10), seconds(60), 3)


VALID_ORIGINS = [
    *("https://example.org", "https://example.org:8443", "https://xn--bcher-kva.example", "https://[::1]:8443"),
    *("http://[::1]:8000", "http://[::1]", "https://[2001:db8::443]", "http://[fd00::80]:8080"),
    *("http://localhost:3000", "http://127.0.0.1:8000", "http://my_service:8000", "http://example.org:8080"),
    *("http://example.org:443", "https://example.org:80"),
]
INVALID_ORIGINS = [
    *("", "*", "null", "example.org", "//example.org", "ftp://example.org"),  # no scheme, or another one
    *("https://", "https://:8443", "https://[", "https://[::1", "https://*.example.org"),  # no host
    *("https://example.org/", "https://example.org/path", "https://example.org?query", "https://example.org#fragment"),
    *("https://user:password@example.org", "https://example.org:", "https://example.org:port"),
    *("https://example.org\n", " https://example.org", "https://exa mple.org"),
    *("HTTPS://example.org", "https://EXAMPLE.org", "https://bücher.example"),  # browsers write these otherwise
    *("https://example.org:443", "http://example.org:80"),  # browsers leave the default port out
]
LOOPBACK = [
    *("http://localhost", "http://localhost:3000", "http://app.localhost:3000", "http://127.0.0.1:8000"),
    *("http://127.1.2.3", "http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]"),
]
NETWORK = [
    *("http://example.org", "http://app.example.org:8080", "http://intranet", "http://192.168.1.5:3000"),
    *("http://localhost.example.org", "http://notlocalhost", "http://127.0.0.1.example.org", "http://[fe80::1]"),
    *("http://0.0.0.0:3000", "http://[::]:3000", "http://app.test"),
]
WEAK_SECRETS = {
    "short": "x" * 10,
    "a character too short": OTHER_SECRET[:49],
    "hardly any different characters": "abab" * 25,
    "generated by startproject": "django-insecure-" + OTHER_SECRET,
}


class TestUnsafeSettings:
    @pytest.mark.parametrize("origin", VALID_ORIGINS)
    def test_an_origin_as_browsers_write_it_is_accepted(self, origin, settings):
        settings.DEBUG = True  # Otherwise http is not enough.
        settings.TOKENS = {"TRUSTED_ORIGINS": [origin]}
        assert token_settings().trusted_origins == (origin,)

    @pytest.mark.parametrize("origin", INVALID_ORIGINS)
    def test_an_origin_that_no_browser_would_send_is_rejected(self, origin, settings):
        settings.TOKENS = {"TRUSTED_ORIGINS": ["https://good.example", origin]}
        assert reported() == ["E006"]
        assert messages()[0].msg.startswith("TRUSTED_ORIGINS is not an origin")

    @pytest.mark.parametrize("origin", NETWORK)
    def test_the_server_does_not_start_with_a_trusted_origin_over_http_on_the_network(self, origin, settings):
        settings.TOKENS = {"TRUSTED_ORIGINS": [APP, origin]}
        assert reported() == ["E034"]
        with pytest.raises(ImproperlyConfigured, match="TRUSTED_ORIGINS"):
            token_settings()

    @pytest.mark.parametrize("origin", LOOPBACK)
    def test_a_trusted_origin_over_http_on_the_users_own_machine_is_a_warning(self, origin, settings):
        settings.TOKENS = {"TRUSTED_ORIGINS": [origin]}
        assert reported() == ["W012 (warning)"]
        assert token_settings().trusted_origins == (origin,)

    @pytest.mark.parametrize("origin", [*LOOPBACK, *NETWORK])
    def test_for_development_each_trusted_origin_over_http_is_accepted(self, origin, settings):
        settings.DEBUG, settings.TOKENS = True, {"TRUSTED_ORIGINS": [origin]}
        assert messages() == []

    def test_a_trusted_origin_over_https_is_accepted_and_each_mistake_is_reported(self, settings):
        settings.TOKENS = {"TRUSTED_ORIGINS": [APP, "http://b.example", "http://localhost", "http://c.example"]}
        assert reported() == ["E034", "W012 (warning)", "E034"]

    @pytest.mark.parametrize("origin", ["", None, "example.org", "https://example.org/", "https://[", 5], ids=repr)
    def test_the_projects_own_origin_must_be_one_too(self, origin, settings):
        settings.ORIGIN = origin
        assert any(message.id == "tokens.E006" and message.msg.startswith("ORIGIN ") for message in messages())
        with pytest.raises(ImproperlyConfigured, match="ORIGIN is not an origin"):
            token_settings()

    def test_plain_http_is_rejected_with_debug_off(self, settings):
        settings.ORIGIN = "http://localhost:8000"
        assert reported() == ["E007"]
        settings.DEBUG = True
        assert messages() == []
        assert not token_settings().secure

    def test_over_https_cookies_are_secure_with_debug_on_and_off(self, settings):
        assert token_settings().secure
        settings.DEBUG = True
        assert token_settings().secure

    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
    @pytest.mark.parametrize("secret", WEAK_SECRETS.values(), ids=WEAK_SECRETS)
    def test_a_weak_secret_is_rejected_with_debug_off_and_not_repeated(self, secret, name, settings):
        setattr(settings, name, secret if name == "SECRET_KEY" else [OTHER_SECRET, secret])
        assert reported() == ["E008"]
        [message] = messages()
        assert message.msg.startswith(f"{name} ")
        assert secret not in message.msg + message.hint
        settings.DEBUG = True
        assert messages() == []

    def test_a_secret_of_fifty_characters_is_accepted(self, settings):
        settings.SECRET_KEY = OTHER_SECRET[:50]
        settings.SECRET_KEY_FALLBACKS = [OTHER_SECRET]
        assert messages() == []

    def test_development_settings_are_accepted_under_a_test_runner_which_turns_debug_off(self, settings, monkeypatch):
        monkeypatch.setattr(settings_of_the_suite, "DEBUG", True)
        settings.ORIGIN, settings.SECRET_KEY = "http://localhost:8000", "django-insecure-" + OTHER_SECRET
        assert not settings.DEBUG
        assert messages() == []


class TestTheObject:
    def test_every_mistake_is_named_in_one_error(self, settings, environment):
        settings.TOKENS = {"ACCES_LIFETIME": 600, "MAX_SESSIONS": 0, "MODES": ["letter"], "REUSE_GRACE": 0}
        environment(TOKENS_IDLE_LIFETIME="1e3", TOKENS_STRANGER="1")
        with pytest.raises(ImproperlyConfigured) as raised:
            token_settings()
        for name in ("ACCES_LIFETIME", "MAX_SESSIONS", "'letter'", "TOKENS_IDLE_LIFETIME"):
            assert name in str(raised.value)
        for only_a_warning in ("STRANGER", "REUSE_GRACE"):
            assert only_a_warning not in str(raised.value)

    def test_the_object_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            token_settings().modes = ()  # type: ignore[misc]

    def test_a_list_that_is_changed_later_does_not_change_the_object(self, settings):
        origins = [APP]
        settings.TOKENS = {"TRUSTED_ORIGINS": origins}
        found = token_settings()
        origins.append("https://evil.example")
        assert found.trusted_origins == token_settings().trusted_origins == (APP,)

    def test_the_object_is_made_once_and_made_again_when_a_setting_changes(self, settings):
        before = token_settings()
        assert token_settings() is before
        settings.TOKENS = {"ACCESS_LIFETIME": 300}
        assert token_settings().access_lifetime == seconds(300)
        settings.ORIGIN = AUTH
        assert token_settings().origin == AUTH
        del settings.TOKENS
        settings.TOKENS = {}
        assert token_settings().access_lifetime == before.access_lifetime == seconds(600)

    @pytest.mark.parametrize("item", SETTINGS.values(), ids=SETTINGS)
    def test_every_setting_documents_its_meaning_and_its_unit(self, item):
        assert item.metadata["doc"]
        assert item.metadata["unit"] or item.metadata["kind"] in {"flag", "text", "list"}

    def test_nothing_else_in_the_project_reads_the_dictionary(self):
        root = Path(__file__).parents[3]
        reads = re.compile(
            r"(?<!`)settings\.TOKENS|\bsettings, \"TOKENS\"|TOKENS_[A-Z]+\b.*\benviron\b|\benviron\b.*TOKENS_"
        )
        files = [path for package in ("tokens", "accounts") for path in (root / package).rglob("*.py")]
        assert len(files) > 20
        assert [path.name for path in files if reads.search(path.read_text())] == ["reading.py"]
