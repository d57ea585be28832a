"""The npm package for Next.js, and the files of the app that ``tests/browser/nextjs`` runs with it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.docs.blocks import Block, block, blocks
from tests.docs.tutorial import prints
from tests.documents import PAGES
from tests.programs import completed

SOURCE = Path(__file__).parent / "nextjs"
PACKAGE = Path(__file__).parents[2] / "clients" / "next"
SESSION = "01890000-0000-7000-8000-000000000000"
NOT_FORWARDED = {"home", "schema", "docs", "nothing", "live", "ready", "metrics"}
"""The URLs that a user of an application does not visit, and the first page, which is the application's own."""


def latchkeys_paths(name: str = "LATCHKEYS") -> re.Pattern[str]:
    """Return the expression for the paths that the package passes on to Latchkey."""
    text = (PACKAGE / "src" / "paths.ts").read_text()
    found = re.search(rf"const {name} = \[(.*?)\n?\];", text, re.DOTALL)
    assert found
    return re.compile("|".join(json.loads(f"[{found[1].strip().rstrip(',')}]")))


def urls(patterns: list[URLPattern | URLResolver], namespace: str = "") -> list[str]:
    """Return the path of each URL that has a name, except the admin's."""
    found: list[str] = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                inner = f"{pattern.namespace}:" if pattern.namespace else namespace
                found += urls(pattern.url_patterns, inner)
        elif pattern.name and pattern.name not in NOT_FORWARDED:
            needed = {key: SESSION for key in ("session_id", "passkey_id") if key in str(pattern.pattern)}
            found.append(reverse(namespace + pattern.name, kwargs=needed))
    return found


def test_the_package_passes_on_every_page_and_endpoint_of_latchkey():
    found = urls(get_resolver().url_patterns)
    assert {"/sign-in", "/alarm", "/api/auth/me", f"/sessions/{SESSION}/end", "/.well-known/jwks.json"} < {*found}
    expected = latchkeys_paths()
    assert [path for path in found if not expected.fullmatch(path)] == []


def test_the_package_passes_on_the_files_of_those_pages():
    expected = latchkeys_paths()
    for app in ("accounts", "factors", "tokens"):
        assert expected.fullmatch(f"/{settings.STATIC_URL.strip('/')}/{app}/a/b.css")


def test_the_package_depends_on_jose_and_requires_a_safe_next_js():
    package = json.loads((PACKAGE / "package.json").read_text())
    assert list(package["dependencies"]) == ["jose"]
    versions = re.findall(r"[\d.]+", package["peerDependencies"]["next"])
    assert [version for version in versions if version not in PAGES["how-to/nextjs.md"]] == []


def test_both_versions_have_the_same_guard():
    newest = (SOURCE / "16" / "proxy.js").read_text()
    assert (SOURCE / "14" / "middleware.js").read_text() == newest.replace("proxy", "middleware")


@pytest.mark.parametrize("version", ["14", "16"])
def test_each_folder_has_the_version_in_its_name(version):
    package = json.loads((SOURCE / version / "package.json").read_text())
    assert package["dependencies"]["next"].startswith(f"{version}.")


CONFIG = "const nextConfig: NextConfig = {\n  reactStrictMode: true,\n};\n\nexport default nextConfig;\n"
INIT = "npx django-latchkey-next init --with-page"
OWN = [block("docs/how-to/nextjs.md", f"// {when}, in proxy.ts:") for when in ("Before", "After")]
"""A ``proxy.ts`` of an application, before and after it calls the guard."""
COMPILED = ["--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--skipLibCheck"]


def runs_blocks() -> list[Block]:
    return OWN


def init(workspace: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the package's command in the folder of an application."""
    command = ["node", str(workspace / "next" / "lib" / "init.js"), "init", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("page", ["docs/tutorial/nextjs.md", "docs/how-to/nextjs.md"])
def test_the_command_writes_the_files_that_the_pages_show(page, workspace, tmp_path):
    given = {"package.json": "{}", "tsconfig.json": "{}", "app/page.tsx": "", "next.config.ts": CONFIG}
    given["node_modules/next/package.json"] = '{"version": "16.2.6"}'
    for path, text in given.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert [one for one in blocks(page, "sh") if INIT in one.text]
    done = init(workspace, tmp_path, *INIT.split()[3:])
    assert done.returncode == 0
    assert [one for one in blocks(page, "text") if not prints(one.text, done.stdout)] == []

    shown = {found[1]: one.body for one in blocks(page) if (found := re.fullmatch(r"(?://|#) (\S+)", one.first))}
    added = [line for line in (tmp_path / "next.config.ts").read_text().splitlines() if line not in CONFIG.splitlines()]
    assert shown.pop("next.config.ts").splitlines() == [line for line in added if line]
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    both = shown.keys() & written.keys()
    assert {".env.local", "proxy.ts", "app/account/page.tsx"} <= both
    assert {path: shown[path] for path in both} == {path: written[path] for path in both}


@pytest.fixture
def application(workspace, tmp_path) -> Path:
    """A folder with the packages of the workspace, which Next.js 16 is one of."""
    (tmp_path / "node_modules").symlink_to(workspace / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "app").mkdir()
    return tmp_path


def test_init_is_content_with_the_guide_s_own_proxy_once_it_calls_the_guard(application, workspace):
    found = []
    for own in OWN:
        (application / "proxy.ts").write_text(own.text)
        done = init(workspace, application)
        found.append((done.returncode, "Call the guard" in done.stdout, "Remove matcher" in done.stdout))
    assert found == [(1, True, True), (0, False, False)]


def test_the_guide_s_own_proxy_keeps_its_headers_and_redirects_beside_the_guard(application, workspace):
    for own, name in zip(OWN, ("before", "after"), strict=True):
        (application / f"{name}.ts").write_text(own.text)
    compiler = workspace / "node_modules" / "typescript" / "bin" / "tsc"
    assert completed("node", compiler, "before.ts", "after.ts", *COMPILED, cwd=application).stdout == ""
    # A bundler finds this module by its name without an extension, and Node does not.
    made = [application / f"{name}.js" for name in ("before", "after")]
    for path in made:
        path.write_text(path.read_text().replace('"next/server"', '"next/server.js"'))
    program = Path(__file__).with_name("next_proxy.mjs")
    before, after = json.loads(completed("node", program, workspace / "next", *made).stdout)
    # Where the request ends, the own header, how many cookies are set, and whether the page gets the new token.
    assert before["/orders/open"] == before["/sign-in"] == ["page", "DENY", 0, False]
    assert (before["/blog"][0], before["/orders"][0]) == ("/news", "/orders/open")
    assert after == {
        "/": ["page", "DENY", 0, False],
        "/blog": ["/news", None, 0, False],
        "/orders": ["/sign-in?next=%2Forders", None, 0, False],
        "/orders/open": ["/sign-in?next=%2Forders%2Fopen", None, 0, False],
        "/sign-in": ["Latchkey", None, 0, False],
        "/ refresh=old": ["page", "DENY", 2, True],
        "/blog refresh=old": ["/news", None, 0, False],
        "/orders refresh=old": ["/orders/open", None, 2, False],
        "/orders/open refresh=old": ["page", "DENY", 2, True],
        "/sign-in refresh=old": ["Latchkey", None, 0, False],
    }
