"""Browsers that are closed, or die, and are opened again: what they had saved is there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Playwright


class Profile:
    """A browser whose cookies outlive it, as far as it had saved them."""

    def __init__(self, folder: Path, open_: Callable[[Path], BrowserContext]) -> None:
        self._folder, self._open = folder, open_

    def open(self) -> BrowserContext:
        return self._open(self._folder)

    def kill(self) -> None:
        """End every process of the browser at once: nothing is saved any more."""
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
    """A profile in this folder. ``options``: how its browser is started."""
    with ExitStack() as stack:

        def open_(folder: Path) -> BrowserContext:
            context = playwright.chromium.launch_persistent_context(folder, **options)
            stack.callback(context.close)
            return context

        yield Profile(folder, open_)
