"""A real WebKit, driven by WebDriver, with the methods of Playwright's pages and contexts that the tests use.

Debian's WebKitGTK comes with a driver for WebDriver and with no browser for Playwright. WebDriver can do less. A test
that needs more, such as a route, is skipped with the method that is missing.

WebKit needs a display, which is Xvfb, and a file of hosts, which a namespace shows it in the place of the machine's
own. Through a proxy it does not accept the certificate of the tests.
"""

import os
import re
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Error
from selenium import webdriver
from selenium.common.exceptions import JavascriptException, WebDriverException
from selenium.webdriver.webkitgtk.service import Service

_WITH_HOSTS = """#!/bin/sh
exec unshare --map-root-user --mount sh -c 'mount --bind {hosts} /etc/hosts && exec "$0" "$@"' {program} "$@"
"""
SECONDS = 60
"""The time limit of a script in a page."""
_RUN = """const done = arguments[arguments.length - 1], given = arguments[0];
const failed = (error) => done({ name: error?.name ?? "Error", message: `${error?.message ?? error}` });
(async () => { CODE })().then((value) => done({ value: value === undefined ? null : value }), failed);"""
_IS_FUNCTION = re.compile(r"\s*(async\s*)?(\([^()]*\)|\(\[[^\]]*\]\)|\(\{[^}]*\}\)|\w+)\s*=>|\s*(async\s+)?function\b")


def code_of(expression: str) -> str:
    """Return the body of a function that does what Playwright's ``evaluate`` does with an expression."""
    if _IS_FUNCTION.match(expression):
        return f"return ({expression})(given);"
    return expression if _has_statements(expression) else f"return ({expression});"


def _has_statements(code: str) -> bool:
    """Return whether a semicolon stands outside of all brackets and quotation marks."""
    depth, quote = 0, ""
    for sign in code:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        depth += (sign in "([{") - (sign in ")]}") if not quote else 0
        if sign == ";" and not depth and not quote:
            return True
    return False


class Skips:
    """Skips the test when it uses what WebDriver cannot do."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        pytest.skip(f"WebDriver has nothing like Playwright's {type(self).__name__}.{name}.")


class Page(Skips):
    """A tab, like Playwright's class of this name."""

    def __init__(self, context: "Context", handle: str) -> None:
        self.context, self._handle = context, handle

    @property
    def _driver(self) -> Any:
        """The driver, with this tab selected."""
        self.context._driver.switch_to.window(self._handle)
        return self.context._driver

    @property
    def url(self) -> str:
        return str(self._driver.current_url)

    def goto(self, url: str) -> None:
        try:
            self._driver.get(urljoin(self.context._base_url, url))
        except WebDriverException as error:
            raise Error(str(error.msg)) from None

    def reload(self) -> None:
        self._driver.refresh()

    def close(self) -> None:
        self._driver.close()

    def evaluate(self, expression: str, given: Any = None) -> Any:
        """Return what an expression, or the function that it is, gives in the page. Promises are awaited."""
        try:
            found = self._driver.execute_async_script(_RUN.replace("CODE", code_of(expression)), given)
        except JavascriptException as error:
            raise Error(str(error.msg)) from None
        if "message" in found:
            raise Error(f"{found['name']}: {found['message']}")
        return found["value"]

    def wait_for_function(self, expression: str, *, polling: int = 50, timeout: float = 10_000) -> None:
        """Wait until an expression, or the function that it is, is true."""
        for _ in range(int(timeout / polling)):
            if self.evaluate(expression):
                return
            self.wait_for_timeout(polling)
        raise Error(f"{expression} did not become true")

    def wait_for_timeout(self, milliseconds: float) -> None:
        self.evaluate(f"new Promise((resolve) => setTimeout(resolve, {milliseconds}))")

    def wait_for_load_state(self, state: str = "load") -> None:
        self.wait_for_function("document.readyState === 'complete'")

    @contextmanager
    def expect_popup(self) -> Iterator[Any]:
        """Yield what has the tab that the block has opened as its ``value``.

        WebKit opens no window for a script that no click has started. Then it is a tab with the same address, whose
        ``sessionStorage`` is empty.
        """
        before, found = {*self._driver.window_handles}, SimpleNamespace()
        yield found
        if new := {*self.context._driver.window_handles} - before:
            found.value = Page(self.context, new.pop())
        else:
            found.value = self.context.new_page()
            found.value.goto(self.url)


class Context(Skips):
    """A browser of its own, like Playwright's class ``BrowserContext``."""

    def __init__(self, driver: Any, base_url: str) -> None:
        self._driver, self._base_url = driver, base_url
        self._is_used = False

    def new_page(self) -> Page:
        if self._is_used:
            self._driver.switch_to.window(self._driver.window_handles[0])  # The tab before may be closed.
            self._driver.switch_to.new_window("tab")
        self._is_used = True
        return Page(self, self._driver.current_window_handle)

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies of the current page's host, also those that scripts cannot read."""
        return list(self._driver.get_cookies())

    def clear_cookies(self, *, name: str | None = None) -> None:
        for found in self.cookies():
            if name in {None, found["name"]}:
                self._driver.delete_cookie(found["name"])

    def close(self) -> None:
        with suppress(WebDriverException):
            self._driver.quit()


@contextmanager
def display() -> Iterator[str]:
    """Run Xvfb, and yield the name of its display."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as printed:
            yield f":{printed.readline().strip()}"
    finally:
        process.terminate()
        process.wait(SECONDS)


class Browser:
    """What opens browsers, like Playwright's class of this name. A driver has one browser."""

    def __init__(self, program: Path, shown_on: str) -> None:
        self._program = program
        self._environment = {**os.environ, "DISPLAY": shown_on, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        self.version = ""

    def new_context(self, *, base_url: str = "", **_options: Any) -> Context:
        options = webdriver.WebKitGTKOptions()
        options.set_capability("acceptInsecureCerts", True)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Selenium warns of its own code.
            driver = webdriver.WebKitGTK(options, Service(str(self._program), env=self._environment))
        driver.set_script_timeout(SECONDS)
        self.version = driver.capabilities["browserVersion"]
        return Context(driver, base_url)


@contextmanager
def started(program: str, folder: Path, hosts: Iterable[str]) -> Iterator[Browser]:
    """Yield what opens browsers. ``hosts`` are resolved to this machine. ``folder``: for what this takes."""
    (folder / "hosts").write_text("".join(f"127.0.0.1 {host}\n" for host in ("localhost", *hosts)))
    script = folder / "driver"
    script.write_text(_WITH_HOSTS.format(hosts=folder / "hosts", program=program))
    script.chmod(0o700)
    with display() as shown_on:
        yield Browser(script, shown_on)


NewContext = Callable[..., Context]
