"""The runner of Django's own suite. It writes which tests failed to the file that ``RESULTS`` names, as JSON."""

import json
import os
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


class Runner(DiscoverRunner):
    def suite_result(self, suite: Any, result: Any, **kwargs: Any) -> Any:
        broken = [*result.failures, *result.errors, *((test, "") for test in result.unexpectedSuccesses)]
        failed = {_name(test): trace for test, trace in broken}
        found = {"run": result.testsRun - len(result.skipped), "failed": failed}
        Path(os.environ["RESULTS"]).write_text(json.dumps(found), "utf-8")
        return super().suite_result(suite, result, **kwargs)


def _name(test: Any) -> str:
    """Return the id of a test, without the parameters of its subtests."""
    return str(getattr(test, "test_case", test).id().partition(" ")[0])
