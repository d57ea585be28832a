"""A real Chromium, and sites for it to visit. Every test in this folder has the marker ``browser``."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser.pages import Visit
from tests.browser.sites import Certificate, Person, Site, migrate, served
from tests.clients.conftest import installed, package  # noqa: F401  # A fixture here, too.
from tests.databases import start_server

Sites = Callable[..., Site]
Jar = Callable[..., BrowserContext]
NO_DATABASE = "postgres://nobody@127.0.0.1:1/nothing"
"""A server that is not there: nobody listens on the port of TCPMUX."""
FLAGS = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)


def at_length(*values: Any) -> list[Any]:
    """More of the same kind, for `pytest.mark.parametrize`: run only if exhaustive."""
    return [pytest.param(value, marks=pytest.mark.exhaustive) for value in values]


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("browser")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A PostgreSQL with the project's tables, for all sites of this run."""
    url, server = start_server()
    try:
        migrate(url)
        yield url
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def sites(database_url: str, certificate: Certificate) -> Iterator[Sites]:
    """Returns the site with this host and environment; each is started once."""
    started: dict[Any, Site] = {}
    with ExitStack() as stack:

        def site(host: str = "app.test", **environment: str) -> Site:
            key = (host, *sorted(environment.items()))
            if key not in started:
                started[key] = stack.enter_context(served(database_url, certificate, host, **environment))
            return started[key]

        yield site


@pytest.fixture
def site(sites: Sites) -> Iterator[Site]:
    """The project as it comes: storage mode ``cookie``, all durations at their defaults."""
    found = sites()
    yield found
    found.deliver()
    found.open_gate()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


def launch_options(certificate: Certificate) -> dict[str, Any]:
    """How Chromium is started: the distribution's own, which takes ``*.test`` for this machine."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is not installed. These tests run it: apt-get install chromium.")
    flags = [*FLAGS, f"--ignore-certificate-errors-spki-list={certificate.spki}"]
    return {
        "executable_path": path,
        "args": flags,
        "chromium_sandbox": False,
        # Playwright switches it off, people do not.
        "ignore_default_args": ["--disable-back-forward-cache"],
    }


@pytest.fixture(scope="session")
def chromium(playwright: Playwright, certificate: Certificate) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**launch_options(certificate))
    yield browser
    browser.close()


@pytest.fixture
def jar(chromium: Browser) -> Iterator[Jar]:
    """Makes cookie jars: browsers of different people, or of one person and a thief."""
    with ExitStack() as stack:

        def new(**options: Any) -> BrowserContext:
            context = chromium.new_context(**options)
            context.set_default_timeout(10_000)
            stack.callback(context.close)
            return context

        yield new


@pytest.fixture
def context(jar: Jar, site: Site) -> BrowserContext:
    """One person's browser."""
    return jar(base_url=site.origin)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def person(site: Site) -> Person:
    """Somebody with an account at `site`."""
    return site.new_person()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    folder = installed(Path(__file__).parent / "axe", tmp_path_factory.mktemp("axe") / "axe")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
def visit(page: Page, site: Site, person: Person, jar: Jar, sites: Sites) -> Visit:
    """Somebody with an account in front of a browser, on their way to one of `pages.PAGES`."""
    return Visit(page, site, person, jar, lambda: sites(DATABASE_URL=NO_DATABASE, DATABASE_POOL="0"))
