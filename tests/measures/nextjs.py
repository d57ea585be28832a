"""How long a new Next.js application takes to a page that is refreshed: ``python -m tests.measures.nextjs``.

It follows the steps of ``docs/how-to/nextjs.md`` with an empty npm cache. The time depends on the machine.
"""

import json
import os
import time
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import HTTPCookieProcessor, Request, build_opener

import django


def main() -> None:
    """Print how long each step takes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.browser.nextjs.fresh import SHORT, connect, created, latchkey, running, with_latchkey
    from tests.programs import free_port

    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        os.environ["NPM_CONFIG_CACHE"] = str(folder / "cache")
        began = step = time.monotonic()

        def took(what: str) -> None:
            nonlocal step
            now = time.monotonic()
            print(f"{what:<40} {now - step:6.1f} s")
            step = now

        app = created("16", folder)
        took("create-next-app")
        with_latchkey(app, folder / "checkout")
        took("the package and its command init")
        with latchkey(folder, port, **SHORT) as demo:
            connect(app, port, demo)
            took("Latchkey runs")
            with running(app, "dev", port) as origin:
                see_it_refresh(origin, took)
        print(f"{'in all':<40} {time.monotonic() - began:6.1f} s")


def see_it_refresh(origin: str, took: Callable[[str], None]) -> None:
    """Do what the guide says in its last step, without a browser."""
    from tests.browser.demo import DEMO_USER
    from tests.scale.cluster import wait_for

    cookies = CookieJar()
    visitor = build_opener(HTTPCookieProcessor(cookies))

    def visit(path: str, **given: str) -> tuple[str, str]:
        headers = {"Accept": "text/html", "Content-Type": "application/json", "Origin": origin}
        request = Request(origin + path, json.dumps(given).encode() if given else None, headers)  # noqa: S310
        with visitor.open(request) as answer:
            return answer.url, answer.read().decode()

    def access() -> list[str | None]:
        return [cookie.value for cookie in cookies if cookie.name == "access"]

    assert visit("/account")[0].endswith("/sign-in?next=%2Faccount")
    took("the guard leads to the sign-in page")
    visit("/api/auth/login", email=DEMO_USER.email, password=DEMO_USER.password)
    greeting = f"Hello <!-- -->{DEMO_USER.email}"
    # The page is compiled at its first request, which may take longer than the token lives.
    wait_for(lambda: greeting in visit("/account")[1], "the page that greets the user")
    took("the page greets the user")
    before = access()
    wait_for(lambda: greeting in visit("/account")[1] and access() != before, "new tokens")
    took("the page is refreshed")


if __name__ == "__main__":
    main()
