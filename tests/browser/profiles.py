"""Browsers that are closed, or killed, and opened again with the cookies that they had saved."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Playwright


class Profile:
    """A browser's folder on disk. ``open()`` starts the browser on it."""

    def __init__(self, folder: Path, playwright: Playwright, stack: ExitStack, options: dict[str, Any]) -> None:
        self._folder, self._playwright, self._stack, self._options = folder, playwright, stack, options

    def open(self) -> BrowserContext:
        context = self._playwright.chromium.launch_persistent_context(self._folder, **self._options)
        self._stack.callback(context.close)
        return context

    def kill(self) -> None:
        """End every process of the browser immediately, so that it saves nothing more."""
        own = [process for process in psutil.process_iter(["cmdline"]) if self._is_own(process.info["cmdline"] or [])]
        assert own
        for process in own:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(own)

    def _is_own(self, command: list[str]) -> bool:
        return any(str(self._folder) in argument for argument in command)


@contextmanager
def profile_kept(playwright: Playwright, folder: Path, **options: Any) -> Iterator[Profile]:
    """Yield a profile in this folder, and close its browsers at the end. ``options``: how its browser is started."""
    with ExitStack() as stack:
        yield Profile(folder, playwright, stack, options)
