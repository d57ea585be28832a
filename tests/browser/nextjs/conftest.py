"""The same app on two major versions of Next.js. Every test in this folder runs on both."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import at_length
from tests.browser.nextjs.deployments import Deployment, built, deployed
from tests.browser.nextjs.visits import Visitor
from tests.browser.sites import UNBOUND, Site


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id) -> Path:
    """A folder that all workers of this run share. Without it each worker would build the app for itself."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session", params=at_length("14", "16"), ids=lambda version: f"Next.js {version}")
def deployment(request, tmp_path_factory, shared_folder, database_url, certificate) -> Iterator[Deployment]:
    """The app and its Latchkey, whose sessions are refreshed by rotation. `test_bound` has one that binds them."""
    folder = tmp_path_factory.mktemp("deployment")
    with (
        built(request.param, shared_folder) as app,
        deployed(app, folder, database_url, certificate, **UNBOUND) as found,
    ):
        yield found


@pytest.fixture
def site(deployment) -> Site:
    """The Latchkey behind the app. `site.origin` is the app's."""
    return deployment.site


@pytest.fixture
def javascript() -> bool:
    """Whether the user's browser runs JavaScript. A test overrides this with a parameter of the same name."""
    return True


@pytest.fixture
def context(new_context, site, javascript) -> BrowserContext:
    """The user's browser."""
    return new_context(base_url=site.origin, java_script_enabled=javascript)


@pytest.fixture
def visitor(page, deployment, person) -> Iterator[Visitor]:
    """The user in front of `page`. The clock of Latchkey, which later tests use too, is set right at the end."""
    with ExitStack() as stack:
        yield Visitor(page, deployment, person, stack)
