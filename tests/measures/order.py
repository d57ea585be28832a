"""A plugin of pytest that runs the tests in the order of the command line (pytest-django would change it)."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests by their place on the command line."""
    order = {name: place for place, name in enumerate(config.args)}
    items.sort(key=lambda item: order.get(item.nodeid, 0))
