"""A real browser, and sites for it to visit. Every test in this folder has the marker ``browser``.

The option ``--engine`` says which browser: `tests.browser.engines`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser import engines
from tests.browser.pages import Visit
from tests.browser.profiles import Profile, profile_kept
from tests.browser.sites import UNBOUND, Certificate, Person, Site, migrate, served
from tests.browser.steps import policy_violations, sign_in
from tests.browser.webkit import started as webkit_started
from tests.clients.conftest import installed, package  # noqa: F401  # A fixture in this folder, too.
from tests.databases import start_server

Sites = Callable[..., Site]
NewContext = Callable[..., BrowserContext]
NO_DATABASE = "postgres://nobody@127.0.0.1:1/nothing"
"""The URL of a database server that does not exist: nothing listens on the port of TCPMUX."""
PHONE, LAPTOP = {"width": 320, "height": 640}, {"width": 1280, "height": 800}
RULES = {"light": {"rules": {"target-size": {"enabled": True}}}, "dark": {"runOnly": ["color-contrast"]}}
"""All of axe's rules, and those about colours in the dark scheme too."""
RUN_AXE = """async options => (await axe.run(options)).violations.map(
    found => [found.id, ...found.nodes.map(node => node.html)]
)"""


def at_length(*values: Any) -> list[Any]:
    """Return further values for `pytest.mark.parametrize`, which are tested only in exhaustive runs."""
    return [pytest.param(value, marks=pytest.mark.exhaustive) for value in values]


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("browser")


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker, engine = item.get_closest_marker("chromium_only"), item.config.getoption("engine")
    if marker and engine != engines.CHROMIUM:
        pytest.skip(f"It assumes Chromium: {marker.args[0]}")


@pytest.fixture(scope="session")
def engine(pytestconfig) -> str:
    """The browser of this run: the option ``--engine``."""
    return pytestconfig.getoption("engine")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Certificate:
    """The certificate of all sites. Over http their cookies would have no prefix, and would not be ``Secure``."""
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A PostgreSQL with the project's tables, for all sites of this run.

    With a database for each site a test of two processes would not notice that one does not see the other's changes.
    """
    url, server = start_server()
    try:
        migrate(url)
        yield url
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def device_bound(pytestconfig) -> str:
    """DEVICE_BOUND of every site whose test does not set it: the option ``--device-bound``."""
    return pytestconfig.getoption("device_bound")


@pytest.fixture(scope="session")
def sites(database_url, certificate, device_bound, engine) -> Iterator[Sites]:
    """Returns the site with this host and environment, and starts it if no test has used it before."""
    started: dict[Any, Site] = {}
    with ExitStack() as stack:

        def site(host: str = "app.test", **environment: str) -> Site:
            environment = {"TOKENS_DEVICE_BOUND": device_bound, **environment}
            key = (host, *sorted(environment.items()))
            if key not in started:
                started[key] = stack.enter_context(served(database_url, certificate, host, **environment))
                offers = environment["TOKENS_DEVICE_BOUND"] == "offer"
                started[key].binds = offers and engine == engines.CHROMIUM
            return started[key]

        yield site


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables for the settings of `site`. A folder that tests other settings overrides this fixture."""
    return {}


@pytest.fixture
def site(sites, environment) -> Iterator[Site]:
    """The project with its default settings: storage mode ``cookie``, and all default durations.

    Only DEVICE_BOUND is off, so that every browser refreshes by rotation. The tests in ``device_bound`` set it, and
    those in ``session`` run with both.
    Answers that a failed test still holds or loses are delivered. Otherwise all later tests of this site would fail.
    """
    found = sites(**{**UNBOUND, **environment})
    yield found
    found.deliver()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, started once for the run. A second start in the same thread would be an error."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def launch_options(certificate, engine) -> dict[str, Any]:
    """How to start the distribution's browser, so that it resolves ``*.test`` to this machine."""
    return engines.launch_options(engine, certificate.spki)


@pytest.fixture(scope="session")
def options_with_keys(launch_options) -> dict[str, Any]:
    """How to start a Chromium that keeps keys in software. A machine without a TPM would bind no session otherwise."""
    return {**launch_options, "args": [*launch_options["args"], engines.WITH_KEYS]}


@pytest.fixture(scope="session")
def chromium_with_keys(playwright, options_with_keys) -> Iterator[Browser]:
    """A Chromium that can bind sessions. Any other browser refreshes by rotation, so no proof would be tested."""
    with playwright.chromium.launch(**options_with_keys) as browser:
        yield browser


@pytest.fixture(scope="session")
def chromium_without_keys(playwright, launch_options) -> Iterator[Browser]:
    """A Chromium that binds no session. Without it no test would see such a browser at a site that offers binding."""
    with playwright.chromium.launch(**launch_options) as browser:
        yield browser


@pytest.fixture(scope="session")
def firefox(playwright, launch_options) -> Iterator[Browser]:
    """Firefox. Without it the tests would not notice a client that works in Chromium only."""
    with playwright.firefox.launch(**launch_options) as browser:
        yield browser


@pytest.fixture(scope="session")
def webkit(tmp_path_factory) -> Iterator[Any]:
    """WebKitGTK. Without it the tests would not notice that the client fails in the engine of Safari."""
    folder = tmp_path_factory.mktemp("webkit")
    with webkit_started(engines.program_of(engines.WEBKIT), folder, engines.SITES) as browser:
        yield browser


@pytest.fixture(scope="session")
def browser_of_run(request, engine, device_bound) -> Browser:
    """The browser of the option ``--engine``. Chromium keeps keys if the sites offer to bind sessions to them."""
    if engine == engines.CHROMIUM:
        return request.getfixturevalue("chromium_with_keys" if device_bound == "offer" else "chromium_without_keys")
    return request.getfixturevalue(engine)


@contextmanager
def contexts_of(browser: Browser, **defaults: Any) -> Iterator[NewContext]:
    """Yield what opens browser contexts with these options, and close them at the end."""
    with ExitStack() as stack:

        def new(**options: Any) -> BrowserContext:
            context = browser.new_context(**{**defaults, **options})
            stack.callback(context.close)
            if isinstance(context, BrowserContext):
                context.set_default_timeout(10_000)
            return context

        yield new


@pytest.fixture
def new_context(browser_of_run, engine) -> Iterator[NewContext]:
    """Opens browser contexts, each with its own cookies: browsers of different users, or of a user and an attacker.

    Chromium knows the certificate of the tests. The other browsers accept every certificate.
    """
    with contexts_of(browser_of_run, ignore_https_errors=engine != engines.CHROMIUM) as new:
        yield new


@pytest.fixture
def context(new_context, site) -> BrowserContext:
    """The user's browser. One of somebody else comes from `new_context`, and shares no cookies with it."""
    return new_context(base_url=site.origin)


@pytest.fixture
def profile(playwright, request, engine, site, tmp_path) -> Iterator[Profile]:
    """A browser whose profile is kept on disk. Contexts in memory would not show what a browser had saved."""
    if engine != engines.CHROMIUM:
        pytest.skip("It assumes Chromium, whose processes are found by their folder.")
    options = request.getfixturevalue("options_with_keys")
    with profile_kept(playwright, tmp_path / "profile", base_url=site.origin, **options) as found:
        yield found


@pytest.fixture
def page(context) -> Page:
    """A tab of the user's browser. Only the tabs of `context` share its cookies."""
    return context.new_page()


@pytest.fixture
def person(site) -> Person:
    """A user of `site` who has not signed in. With one for all tests, a test would find the sessions of another."""
    return site.new_person()


@pytest.fixture
def signed_in(page, person) -> Page:
    """The page `page`, on which `person` has signed in by the form.

    Every test that needs a signed-in browser starts here, or calls `steps.sign_in` for another user or other options.
    """
    sign_in(page, person)
    return page


@pytest.fixture
def refused(context) -> list[str]:
    """What the content security policy has refused in this browser. A page may look right without what was refused."""
    return policy_violations(context)


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """The script of axe-core. Without it a page that people cannot use with a screen reader would go unnoticed."""
    folder = installed(Path(__file__).parent / "axe", tmp_path_factory.mktemp("axe") / "axe")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
def visit(page, site, person, sites) -> Visit:
    """A user in front of a browser, who can go to each of `pages.PAGES`."""
    return Visit(page, site, person, lambda: sites(DATABASE_URL=NO_DATABASE, DATABASE_POOL="0", **UNBOUND))


@pytest.fixture
def is_accessible(page, axe, refused) -> Callable[[], None]:
    """A function that checks the page with axe, on a phone and a laptop, in both colour schemes."""

    def check() -> None:
        page.evaluate(axe)
        for size in (PHONE, LAPTOP):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (page.url, size)
            for scheme, rules in RULES.items():
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                assert page.evaluate(RUN_AXE, rules) == [], (page.url, size, scheme)
        assert refused == []

    return check
