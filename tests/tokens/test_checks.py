"""The system checks: every mistake has its own id and a hint, and an error stops `manage.py`."""

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import ERROR, WARNING, CheckMessage, Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.urls import include, path

from accounts import checks as account_checks
from config.urls import urlpatterns as project_urls
from tests.settings import SCRATCH
from tests.tokens.protocol.pems import pem, pss_pem, public_pem
from tokens.api.public import jwks
from tokens.checks import databases
from tokens.service import triggers

OURS = "tokens.middleware.TokenMiddleware"
DJANGOS = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
DJANGOS_BACKEND = "django.contrib.auth.backends.ModelBackend"
LOCAL_CACHE = "django.core.cache.backends.locmem.LocMemCache"
NO_FUNCTION = 5


def an_old_hook(user: Any) -> dict[str, Any]:
    return {}


def a_hook_for_more(user: Any, session: Any, more: Any) -> dict[str, Any]:
    return {}


def any_hook(*given: Any) -> dict[str, Any]:
    return {}


async def an_async_hook(user: Any) -> dict[str, Any]:
    return {}


Arrange = Callable[[Any, pytest.MonkeyPatch], None]


class OwnSessionMiddleware(SessionMiddleware):
    """The session middleware of a project, which is not Django's."""


def found(**options: Any) -> list[CheckMessage]:
    """Return the messages of our checks, as `manage.py check` runs them."""
    messages = run_checks(**{"tags": [Tags.security], "include_deployment_checks": True, **options})
    return [message for message in messages if str(message.id).startswith("tokens.")]


def project(**values: Any) -> Arrange:
    """Set these settings of the project."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        for name, value in values.items():
            setattr(settings, name, value)

    return arrange


def tokens(**values: Any) -> Arrange:
    return project(TOKENS=values)


def both(*arrangements: Arrange) -> Arrange:
    return lambda settings, patch: [arrange(settings, patch) for arrange in arrangements] and None


def suffix(text: str, **names: str) -> Arrange:
    """Set COOKIE_SUFFIX, and let the names of Django's cookies end in it unless ``names`` replace them."""
    fitting = {f"{name}_COOKIE_NAME": f"{name.lower()}-{text}" for name in ("SESSION", "CSRF")}
    return project(TOKENS={"COOKIE_SUFFIX": text}, **(names or fitting))


def throttled(**values: Any) -> Arrange:
    """Switch throttles on, with a cache that processes share unless ``values`` replace it."""
    shared = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    switched_on = project(**{"TOKENS": {}, "CACHES": shared, **values})
    return both(lambda settings, patch: patch.delenv("TOKENS_THROTTLES"), switched_on)


def database(vendor: str, zone: str | None = None) -> Arrange:
    """Use this kind of database, with a time zone of the connection."""
    connection = SimpleNamespace(vendor=vendor, settings_dict={"TIME_ZONE": zone})
    return lambda settings, patch: patch.setattr(databases, "connections", {"default": connection})


class Divided:
    """A router that sends one model to another database. ``name``: its name in lower case."""

    def __init__(self, name: str) -> None:
        self.name = name

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other" if model._meta.model_name == self.name else None


class Replicated:
    """A router whose reads go to a replica."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "other"


def middleware(*, without: str = "", before: str = "", extra: str = "") -> Arrange:
    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        order = [name for name in settings.MIDDLEWARE if name != without]
        if before:
            order.remove(OURS)
            order.insert(order.index(before), OURS)
        settings.MIDDLEWARE = [*order, extra] if extra else order

    return arrange


def scheme_behind(*proxies: str) -> Arrange:
    """Read the scheme from a header behind these proxies."""
    header = ("HTTP_X_FORWARDED_PROTO", "https")
    return project(SECURE_PROXY_SSL_HEADER=header, TRUSTED_PROXIES=list(proxies))


def key_file(mode: int) -> Arrange:
    """Read the second key from a file with this mode."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        path = Path(mkdtemp(dir=SCRATCH)) / "key.pem"
        path.write_text(pem("EdDSA"))
        path.chmod(mode)
        settings.TOKENS = {"SIGNING_KEYS": ["derived", str(path)]}

    return arrange


def missing_trigger(settings: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(triggers, "has_tables", lambda alias: True)
    patch.setattr(triggers, "missing", lambda alias: ["tokens_user_changed on accounts_user"])


def hijack_without_adapter(settings: Any, patch: pytest.MonkeyPatch) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "hijack"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "hijack.middleware.HijackUserMiddleware"]


def another_app(name: str, *, is_ours: bool) -> Arrange:
    """Put an app with this name on Python's path. ``is_ours``: it is Latchkey's, and the one that is in use is not."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        folder = Path(mkdtemp(dir=SCRATCH)) / name
        folder.mkdir()
        (folder / "apps.py").write_text("is_latchkey = True" if is_ours else "")
        patch.syspath_prepend(folder.parent)
        if is_ours:
            patch.setattr(apps.get_app_config(name), "is_latchkey", False)

    return arrange


def urls(*found: Any, framework: bool = True) -> Arrange:
    """The project has these URLs. ``framework``: whether REST framework is in INSTALLED_APPS."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        project = ModuleType("urls_of_a_project")
        project.urlpatterns = list(found)  # type: ignore[attr-defined]
        patch.setitem(sys.modules, project.__name__, project)
        if not framework:
            settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]
        settings.ROOT_URLCONF = project.__name__

    return arrange


def installed(app: str, **values: Any) -> Arrange:
    """Let this app be installed, by its name only: it would ask for tables and more settings."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        is_installed = apps.is_installed
        patch.setattr(apps, "is_installed", lambda name: name == app or is_installed(name))

    return both(arrange, project(**values))


API = path("api/", include("tokens.api.urls"))
JWKS = path(".well-known/jwks.json", jwks)


def allauth_jwks(request: Any) -> None:
    """Stands for the view of django-allauth."""


allauth_jwks.__module__ = "allauth.idp.oidc.views"
urlpatterns = [path("", include([path(".well-known/jwks.json", allauth_jwks)])), *project_urls]
"""The project's URLs, with those of django-allauth first."""


def with_a_schema_for_each_tenant(shared: Sequence[str] = (), **values: Any) -> Arrange:
    """Use the database backend of django-tenants. ``shared``: SHARED_APPS. ``values``: the settings of `tokens`."""

    def arrange(settings: Any, patch: pytest.MonkeyPatch) -> None:
        patch.setitem(settings.DATABASES["default"], "ENGINE", "django_tenants.postgresql_backend")
        settings.SHARED_APPS, settings.TENANT_APPS = shared, ("accounts", "tokens.apps.TokensConfig")
        settings.TOKENS = values

    return arrange


BY_APP = ["tokens.web.factors.Password", "factors.totp.TotpFactor"]


def required(whom: str = "staff", **values: Any) -> Arrange:
    """Require a factor that users can set up. ``values``: settings of Django."""
    given = {"FACTORS": [*BY_APP, "factors.enrolment.TotpEnrolment"], "REQUIRED_FACTORS": whom}
    return project(TOKENS=given, **values)


MISTAKES: list[tuple[str, int, Arrange, str]] = [
    # id, level, how the mistake is made, a word in the message
    ("E001", ERROR, tokens(ACCESS_LIFETIME="soon"), "ACCESS_LIFETIME"),
    ("E002", ERROR, tokens(ACCES_LIFETIME=600), "ACCES_LIFETIME"),
    ("E003", ERROR, tokens(MODES=["letter"]), "MODES"),
    ("E004", ERROR, tokens(REUSE_GRACE=100, ACKNOWLEDGE_AFTER=90), "REUSE_GRACE"),
    ("E005", ERROR, tokens(ACKNOWLEDGE_AFTER=301), "ACKNOWLEDGE_AFTER"),
    ("E006", ERROR, tokens(TRUSTED_ORIGINS=["example.org"]), "TRUSTED_ORIGINS"),
    ("E007", ERROR, project(ORIGIN="http://example.org"), "https"),
    ("E008", ERROR, project(SECRET_KEY="x" * 60), "SECRET_KEY"),
    ("E009", ERROR, database("mysql"), "mysql"),
    ("E010", ERROR, middleware(without=OURS), OURS),
    ("E011", ERROR, middleware(before=SESSIONS), "SessionMiddleware"),
    ("E012", ERROR, project(TRUSTED_PROXIES=["10.0.0.0/8", "the proxy"]), "TRUSTED_PROXIES"),
    ("E013", ERROR, tokens(CLAIMS_HOOK="tests.nowhere.claims"), "CLAIMS_HOOK"),
    ("E014", ERROR, tokens(MODES=["subdomain"], COOKIE_DOMAIN="example.org"), "COOKIE_DOMAIN"),
    ("E015", ERROR, tokens(MODES=[]), "MODES"),
    ("E016", ERROR, middleware(extra=DJANGOS), "authentication middleware"),
    ("E017", ERROR, project(TOKENS=["MODES"]), "TOKENS"),
    ("E018", ERROR, tokens(ALGORITHM="HS256"), "ALGORITHM"),
    ("E019", ERROR, tokens(SIGNING_KEYS=["derived", "/nowhere/key.pem"]), "key 2"),
    ("E020", ERROR, tokens(SIGNING_KEYS=[pem("EdDSA")[:80]]), "key 1"),
    ("E021", ERROR, tokens(SIGNING_KEYS=[pem("EdDSA", password=b"x")]), "encrypted"),
    ("E022", ERROR, tokens(SIGNING_KEYS=[public_pem("EdDSA")]), "public"),
    ("E023", ERROR, tokens(SIGNING_KEYS=["derived", pem("Ed448")]), "Ed25519"),
    ("E024", ERROR, tokens(SIGNING_KEYS=["derived", pem("RSA-1024")]), "2048"),
    ("E025", ERROR, tokens(SIGNING_KEYS=["derived", "derived"]), "twice"),
    ("E026", ERROR, tokens(INTROSPECTION_CLIENTS=["api:secret"]), "entry 1"),
    ("E027", ERROR, tokens(ALGORITHM="RS256"), "ALGORITHM is RS256"),
    ("E030", ERROR, project(USE_TZ=False), "USE_TZ"),
    ("E031", ERROR, tokens(METRICS_ALLOWED=["127.0.0.1", "10.0.0.1/8"]), "METRICS_ALLOWED"),
    ("E032", ERROR, tokens(DEVICE_BOUND="yes"), "DEVICE_BOUND"),
    ("E033", ERROR, tokens(SERVICE_AUDIENCE="https://testserver"), "SERVICE_AUDIENCE"),
    ("E034", ERROR, tokens(TRUSTED_ORIGINS=["https://a.example", "http://b.example"]), "http://b.example"),
    ("E035", ERROR, tokens(SIGNING_KEYS=["derived", pss_pem()]), "key 2 is for RSASSA-PSS only"),
    ("E041", ERROR, project(DATABASE_ROUTERS=[Divided("user")]), "accounts.User is written to 'other'"),
    ("E040", ERROR, database("sqlite", "Europe/Berlin"), 'DATABASES["default"]'),
    ("E060", ERROR, tokens(CLAIMS_HOOK="tests.tokens.test_checks.an_old_hook"), "one argument only"),
    ("E061", ERROR, tokens(OWN_METHODS=["badge", "a badge"]), "'a badge'"),
    ("E062", ERROR, tokens(BACKEND_METHODS={"ldap.Backend": ["password"]}), "'password'"),
    ("E065", ERROR, tokens(SIGN_IN_POLICY="tests.tokens.test_checks.an_old_hook"), "does not take three arguments"),
    ("E063", ERROR, tokens(FACTORS=["tokens.web.methods.proved"]), "no subclass of Factor"),
    ("E067", ERROR, required("tests.tokens.test_checks.a_hook_for_more"), "does not take one argument"),
    ("E068", ERROR, tokens(REQUIRED_FACTORS="staff"), "nobody can do what it asks for"),
    ("W059", WARNING, tokens(FACTORS=BY_APP), "A password is enough for the admin"),
    ("W060", WARNING, tokens(FACTORS=BY_APP, REQUIRED_FACTORS="staff"), "users without a factor cannot sign in"),
    ("W061", WARNING, both(required(), urls(API, JWKS)), "no page asks for a factor"),
    ("W062", WARNING, required(REST_FRAMEWORK={}), "BasicAuthentication takes a password with each request"),
    ("E050", ERROR, another_app("tokens", is_ours=False), "hidden by Latchkey's"),
    ("W050", WARNING, another_app("accounts", is_ours=True), "hidden by the project's own"),
    ("E046", ERROR, suffix("shop;"), "shop;"),
    ("W026", WARNING, suffix("shop", CSRF_COOKIE_NAME="csrf-shop"), "SESSION_COOKIE_NAME"),
    ("W051", WARNING, urls(), "tokens.api.urls"),
    ("W052", WARNING, urls(API, JWKS, framework=False), "rest_framework"),
    ("W053", WARNING, urls(API), "jwks.json"),
    ("W014", WARNING, key_file(0o640), "key 2 (mode 0640)"),
    ("W012", WARNING, tokens(TRUSTED_ORIGINS=["http://localhost:3000"]), "http://localhost:3000"),
    ("W001", WARNING, tokens(REUSE_GRACE=0), "REUSE_GRACE"),
    ("W002", WARNING, tokens(ACKNOWLEDGE_AFTER=31), "ACKNOWLEDGE_AFTER"),
    ("W005", WARNING, tokens(DEVICE_BOUND="offer", ACCESS_LIFETIME=299), "ACCESS_LIFETIME"),
    ("E064", ERROR, tokens(REMEMBER="sometimes"), "REMEMBER"),
    ("W055", WARNING, tokens(REMEMBER="bound", DEVICE_BOUND="off"), "bound to its device"),
    ("E066", ERROR, tokens(LIFETIMES={"gold": {"idle": 3600}}), "'gold'"),
    ("W056", WARNING, tokens(LIFETIMES={"aal3": {"absolute": 3600, "idle": 1799}}), "1799 s"),
    ("W057", WARNING, tokens(LIFETIMES={"aal2": {"absolute": 3600}}), "'aal3'"),
    ("W058", WARNING, tokens(REAUTHENTICATION_URL="confirm-it"), "'confirm-it'"),
    ("W009", WARNING, tokens(HTTP_COOKIE_NAMES=False), "HTTP_COOKIE_NAMES"),
    ("W003", WARNING, throttled(AUTHENTICATION_BACKENDS=[DJANGOS_BACKEND]), "Sign-ins"),
    ("W004", WARNING, throttled(CACHES={"default": {"BACKEND": LOCAL_CACHE}}), "Each process"),
    ("W006", WARNING, missing_trigger, "tokens_user_changed"),
    ("W011", WARNING, project(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")), "TRUSTED_PROXIES"),
    ("W028", WARNING, installed("allauth.usersessions"), "django-allauth's list"),
    ("W030", WARNING, installed("allauth.mfa", TOKENS={}), "django-allauth's second factor can be walked round"),
    ("W029", WARNING, installed("allauth.idp.oidc", ROOT_URLCONF="tests.tokens.test_checks"), "/.well-known/jwks.json"),
    ("W027", WARNING, installed("oauth2_provider"), "django-oauth-toolkit"),
    ("W054", WARNING, with_a_schema_for_each_tenant(), "tokens of one tenant are good at another"),
    ("W008", WARNING, hijack_without_adapter, "django-hijack"),
]


@pytest.fixture(autouse=True)
def _no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be empty, as before the first `migrate`. Without it, the tests here would need a database."""
    monkeypatch.setattr(triggers, "has_tables", lambda alias: False)
    monkeypatch.setattr(account_checks, "_has_column", lambda name, databases: False)


def test_the_projects_own_settings_have_no_mistake():
    assert found() == found(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.parametrize(("id", "level", "arrange", "word"), MISTAKES, ids=[f"{row[0]} {row[3]}" for row in MISTAKES])
def test_each_mistake_is_reported_once_and_an_error_stops_manage_py(id, level, arrange, word, settings, monkeypatch):
    arrange(settings, monkeypatch)
    [message] = found() + found(tags=[Tags.database], databases=["default"])
    assert (message.id, message.level) == (f"tokens.{id}", level)
    assert word in message.msg
    assert message.hint
    stops = pytest.raises(SystemCheckError, match=f"tokens.{id}") if level == ERROR else nullcontext()
    with stops:
        call_command("check", tags=[Tags.security, Tags.database], databases=["default"])


def test_the_table_contains_every_id_in_the_code_once():
    package = Path(databases.__file__).parents[1]
    code = "".join(path.read_text() for folder in ("checks", "conf") for path in (package / folder).glob("*.py"))
    assert sorted(set(re.findall(r'"(?:tokens\.)?([EW]\d{3})"', code))) == sorted(row[0] for row in MISTAKES)


HERE = "tests.tokens.test_checks"
OF_HERE = ("an_async_hook", "nothing", "", "NO_FUNCTION")
HOOKS = ("nowhere.claims", "claims", ".claims", "..", *(f"{HERE}.{name}" for name in OF_HERE))
TENANT_OF = "tests.tokens.tenants.schemas.tenant_of"
OUR_OWN = f"{HERE}.{OwnSessionMiddleware.__name__}"
VALUES: list[tuple[str, Arrange, list[str]]] = [
    *(
        (f"proxy {proxy!r}", project(TRUSTED_PROXIES=[proxy]), ["tokens.E012"])
        for proxy in ("the proxy", "300.1.1.1", "10.0.0.1/8", "10.0.0.0/33", "", "::1%eth0/64/3")
    ),
    *(
        (f"proxy {proxy!r}", project(TRUSTED_PROXIES=[proxy]), [])
        for proxy in ("10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8")
    ),
    ("no origin", project(ORIGIN=""), ["tokens.E006", "tokens.E007"]),
    ("two proxies, each of which is reported", project(TRUSTED_PROXIES=["x", "y"]), ["tokens.E012"] * 2),
    ("a suffix in which both names of Django's cookies end", suffix("shop"), []),
    ("a suffix in which neither ends", tokens(COOKIE_SUFFIX="shop"), ["tokens.W026"] * 2),
    ("the scheme from a proxy", scheme_behind("10.0.0.0/8"), []),
    ("the scheme from everybody", scheme_behind("0.0.0.0/0", "10.0.0.1"), ["tokens.W011"]),
    ("the scheme from everybody with IPv6", scheme_behind("10.0.0.1", "::/0"), ["tokens.W011"]),
    *((f"claims hook {path!r}", tokens(CLAIMS_HOOK=path), ["tokens.E013"]) for path in HOOKS),
    *((f"factors required by {path!r}", required(path), ["tokens.E013"]) for path in HOOKS),
    *((f"factors required of {whom}", required(whom), []) for whom in ("nobody", "staff", "everybody")),
    ("factors required by a function", required(f"{HERE}.any_hook"), []),
    (
        "no factor but one that no sign-in asks for",
        tokens(FACTORS=["accounts.factors.EmailCode"], REQUIRED_FACTORS="staff"),
        ["tokens.E068"],
    ),
    ("passwords with each request, and nobody is asked for a factor", project(REST_FRAMEWORK={}), []),
    *(
        (f"{name} that does not exist", tokens(**{name: "nowhere.tenant"}), ["tokens.E013"])
        for name in ("TENANT_HOOK", "TENANT_KEYS", "TENANT_CONTEXT")
    ),
    ("schemas, and a hook that names the tenant", with_a_schema_for_each_tenant(TENANT_HOOK=TENANT_OF), []),
    (
        "users in another schema than sessions",
        with_a_schema_for_each_tenant(TENANT_HOOK=TENANT_OF, shared=("accounts",)),
        ["tokens.W054"],
    ),
    ("a claims hook for more", tokens(CLAIMS_HOOK=f"{HERE}.a_hook_for_more"), ["tokens.E060"]),
    ("a claims hook for whatever it is given", tokens(CLAIMS_HOOK=f"{HERE}.any_hook"), []),
    ("only bound sessions go on, and there are some", tokens(REMEMBER="bound", DEVICE_BOUND="offer"), []),
    ("the lifetimes of NIST", tokens(LIFETIMES="nist", ACCESS_LIFETIME=300), []),
    ("the lifetimes of NIST with the default of ACCESS_LIFETIME", tokens(LIFETIMES="nist"), ["tokens.W056"]),
    (
        "the lifetimes of NIST with other levels",
        tokens(LIFETIMES="nist", ACCESS_LIFETIME=300, ACR_VALUES={"low": ["pwd"]}),
        ["tokens.E066"],
    ),
    *(
        (f"lifetimes {given!r}", tokens(LIFETIMES=given), ["tokens.E001"])
        for given in (
            *("NIST", 5, ["aal1"], {"aal1": 5}, {"aal1": {}}, {1: {"idle": 5}}, {"aal1": {"Idle": 5}}),
            *({"aal1": {"reopens": True, **more}} for more in ({}, {"absolute": 9}, {"idle": 9, "reopens": 1})),
            *({"aal1": {"idle": value}} for value in (0, -1, True, "5", 5.0, 10**12)),
        )
    ),
    ("no session goes on", tokens(REMEMBER="never"), []),
    ("a level of a method that nobody knows", tokens(ACR_VALUES={"high": ["mfa", "pwd badge"]}), ["tokens.E062"]),
    ("a level of an own method", tokens(ACR_VALUES={"high": ["pwd badge"]}, OWN_METHODS=["badge"]), []),
    *(
        (f"levels {given!r}", tokens(ACR_VALUES=given), ["tokens.E001"])
        for given in ("aal1", ["aal1"], {"": ["pwd"]}, {"a b": ["pwd"]}, {1: ["pwd"]}, {"aal1": "pwd"}, {"aal1": [" "]})
    ),
    *(
        (f"backends {given!r}", tokens(BACKEND_METHODS=given), ["tokens.E001"])
        for given in ("x", ["x"], {1: []}, {"x": "pwd"}, {"x": [1]})
    ),
    ("a claims hook that exists", tokens(CLAIMS_HOOK="tests.tokens.conf.test_settings.claims_of_a_test"), []),
    *((vendor, database(vendor), ["tokens.E009"]) for vendor in ("oracle", "microsoft")),
    *(
        (f"a router that divides {name} from the rest", project(DATABASE_ROUTERS=[Divided(name)]), ["tokens.E041"])
        for name in ("device", "securityevent", "revocation", "rehash")
    ),
    ("a router whose reads go to a replica", project(DATABASE_ROUTERS=[Replicated()]), []),
    ("SQLite without a time zone", database("sqlite"), []),
    *((f"a key file of mode {mode:o}", key_file(mode), []) for mode in (0o600, 0o400, 0o700)),
    *((f"a key file of mode {mode:o}", key_file(mode), ["tokens.W014"]) for mode in (0o644, 0o604, 0o620, 0o601)),
    ("the API and the public keys", urls(API, JWKS), []),
    ("no API and no REST framework", urls(framework=False), []),
    ("an app of the project named accounts", another_app("accounts", is_ours=False), ["tokens.E050"]),
    ("an app of the project with another name", another_app("orders", is_ours=False), []),
    *(
        (f"the page to authenticate again at {url}", tokens(REAUTHENTICATION_URL=url), ids)
        for url, ids in {
            "your-devices": [],
            "/sign-in/again?from=app": [],
            "https://id.example.org/again": [],
            "/nowhere": ["tokens.W058"],
            "nowhere/again": ["tokens.W058"],
        }.items()
    ),
    ("the default page to authenticate again, which is not there", urls(API, JWKS), []),
    ("no session middleware", project(MIDDLEWARE=[OURS]), ["tokens.E011"]),
    ("the project's own session middleware", project(MIDDLEWARE=[OUR_OWN, OURS]), []),
]


@pytest.mark.parametrize(("arrange", "ids"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_a_value_is_accepted_or_is_this_mistake(arrange, ids, settings, monkeypatch):
    arrange(settings, monkeypatch)
    messages = found() + found(tags=[Tags.database], databases=["default"])
    assert [message.id for message in messages] == ids
