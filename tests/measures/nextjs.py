"""How long a new Next.js application takes to its first page: ``python -m tests.measures.nextjs``.

It follows the steps of ``docs/how-to/nextjs.md`` with an empty npm cache. The time depends on the machine.
"""

import os
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

import django


def main() -> None:
    """Print how long each step takes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.browser.nextjs.fresh import connect, created, free_port, latchkey, packed, running

    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        os.environ["NPM_CONFIG_CACHE"] = str(folder / "cache")
        began = step = time.monotonic()

        def took(what: str) -> None:
            nonlocal step
            now = time.monotonic()
            print(f"{what:<40} {now - step:6.1f} s")
            step = now

        package = packed(folder, fresh=True)
        took("the package is packed")
        app = created("16", folder, package)
        took("create-next-app, and the guide's files")
        with latchkey(folder, port) as demo:
            connect(app, port, demo)
            took("Latchkey runs")
            with running(app, "dev", port) as origin:
                request = urllib.request.Request(f"{origin}/account", headers={"Accept": "text/html"})  # noqa: S310
                with urllib.request.urlopen(request) as page:  # noqa: S310
                    assert page.url.endswith("/sign-in?next=%2Faccount")
                took("the guard leads to the sign-in page")
        print(f"{'in all':<40} {time.monotonic() - began:6.1f} s")


if __name__ == "__main__":
    main()
