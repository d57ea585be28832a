"""The same app on two majors of Next.js: every test in this folder runs on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.nextjs.deployments import Deployment, built, deployed
from tests.browser.sites import Certificate, Site


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(
    scope="session", params=[pytest.param(version, marks=pytest.mark.exhaustive) for version in ("14", "16")]
)
def deployment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_folder: Path,
    database_url: str,
    certificate: Certificate,
) -> Iterator[Deployment]:
    with (
        built(request.param, shared_folder) as app,
        deployed(app, tmp_path_factory.mktemp("deployment"), database_url, certificate) as found,
    ):
        yield found


@pytest.fixture
def site(deployment: Deployment) -> Site:
    """The Latchkey behind the app; `site.origin` is the app's."""
    return deployment.site
