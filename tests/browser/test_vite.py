"""The guide for React, from an empty folder: a new application of Vite, its files, and a Latchkey to try it with."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.demo import DEMO_USER
from tests.browser.nextjs.fresh import npm, npm_environment
from tests.browser.sites import SECRET_KEY
from tests.browser.steps import fill_in
from tests.clients.conftest import workspace  # noqa: F401  # A fixture in this file, too.
from tests.docs.blocks import Block, block, blocks
from tests.docs.tutorial import START, Started, serving, with_changes
from tests.programs import free_port
from tests.scale.cluster import wait_for

GUIDE, OTHER = "docs/how-to/react.md", "docs/how-to/single-page-app.md"
START_OF_GUIDE = f"ORIGIN=http://localhost:5173 {START}demo --settings shop.settings --port 8000"
START_OF_OTHER = f"ORIGIN=http://localhost:5173 {START}demo --port 8000"
CREATE = ["npm", "create", "--yes", "vite@9.3.0", "app", "--", "--template", "react-ts", "--no-interactive"]
COMPILING = 30_000
"""The time limit of a page in milliseconds. In development it is compiled at its first request."""

pytestmark = pytest.mark.exhaustive


def python() -> list[Block]:
    return blocks(GUIDE, "python")


def sources() -> list[Block]:
    """The files of the application, which are in ``src``, except the configuration."""
    return [one for one in blocks(GUIDE, "ts", "tsx") if one.first.startswith("// ")]


def runs_blocks() -> list[Block]:
    # `tests.clients.test_workspace` compiles the sources, also in CI.
    return [*python(), block(GUIDE, START_OF_GUIDE), block(OTHER, START_OF_OTHER)]


@pytest.fixture(scope="module")
def app(workspace, tmp_path_factory) -> Path:  # noqa: F811
    """A new application with the packages and the files of the guide, as Vite's own script has made it."""
    folder = tmp_path_factory.mktemp("vite")
    npm(*CREATE, folder=folder)
    made = folder / "app"
    assert "import App from './App.tsx'" in (made / "src" / "main.tsx").read_text()
    names = ("browser", "react")
    packed = ["npm", "pack", "--ignore-scripts", *(f"./{name}" for name in names), "--pack-destination", str(made)]
    npm(*packed, folder=workspace)
    archives = [str(made / f"django-latchkey-{name}-0.1.0.tgz") for name in names]
    npm("npm", "install", "--no-audit", "--no-fund", *archives, folder=made)
    return made


def write(app: Path, changes: dict[str, str], page: str) -> None:
    """Write the files of the guide, with the configuration of this page."""
    for one in sources():
        path = one.first.removeprefix("// ")
        folder = app if path == "vite.config.ts" else app / "src"
        (folder / path).write_text(with_changes(one.text, changes))
    if page == OTHER:
        text = with_changes(block(page, "// vite.config.ts").text, changes)
        kept = "  plugins: [react()],\n"  # What the file has.
        text = text.replace("    // and what your file has\n", kept).replace("  // and what your file has\n", kept)
        assert kept in text
        (app / "vite.config.ts").write_text('import react from "@vitejs/plugin-react";\n' + text)


def started(command: str) -> Started:
    """Return how a command starts Latchkey."""
    before, _, after = command.partition(START)
    return Started(dict(word.split("=", 1) for word in shlex.split(before)), shlex.split(after))


@contextmanager
def developing(app: Path, port: int) -> Iterator[str]:
    """Run ``npm run dev``, and yield the address of the application."""
    command, output = ["node", "node_modules/vite/bin/vite.js"], app / "vite.log"
    with output.open("w") as log, subprocess.Popen(command, cwd=app, env=npm_environment(), stdout=log) as process:
        try:
            wait_for(lambda: "ready in" in output.read_text(), "the start of Vite")
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


def sign_in(page: Page, origin: str) -> None:
    page.set_default_timeout(COMPILING)
    page.goto(origin)
    fill_in(page, DEMO_USER)
    expect(page.get_by_role("heading", name=f"Hello {DEMO_USER.email}")).to_be_visible(timeout=COMPILING)


@pytest.mark.parametrize(
    ("guide", "command"), [(GUIDE, START_OF_GUIDE), (OTHER, START_OF_OTHER)], ids=["React", "no framework"]
)
def test_the_application_signs_in_and_asks_again_before_it_pays(app, guide, command, tmp_path, new_context):
    port, behind = free_port(), free_port()
    changes = {"5173": str(port), "8000": str(behind)}
    write(app, changes, guide)
    npm("node", "node_modules/typescript/bin/tsc", "-b", folder=app)
    for one in python():
        path = tmp_path / one.first.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(one.text)
    given = started(with_changes(command, {"5173": str(port)}))
    environment = {"DEBUG": "true", "SECRET_KEY": SECRET_KEY}
    with serving(given, behind, tmp_path, **environment), developing(app, port) as origin:
        page = new_context().new_page()
        sign_in(page, origin)
        if guide == GUIDE:
            page.wait_for_timeout(20_000)
            with page.expect_response("**/api/pay") as asked:
                page.get_by_role("button", name="Pay").click()
            assert asked.value.status == 401
            expect(page.get_by_text("Enter your password again.")).to_be_visible()
            page.get_by_label("Password").fill(DEMO_USER.password)
            with page.expect_response("**/api/pay") as repeated:
                page.get_by_role("button", name="Go on").click()
            assert repeated.value.status == 200
            expect(page.get_by_text("Enter your password again.")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
