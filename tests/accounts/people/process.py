"""Runs code in projects with other user models: one process for each model, because a process cannot change it."""

import json
import os
import subprocess
import sys
from functools import cache
from textwrap import dedent
from typing import Any

_PROJECT = """
import json, os, sys, traceback
from contextlib import redirect_stdout
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.accounts.people.settings"
import django
django.setup()
from io import StringIO
from types import SimpleNamespace
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment
from accounts import delivery
delivery._pool = SimpleNamespace(submit=lambda run, *job: run(*job))
setup_test_environment()
call_command("migrate", run_syncdb=True, verbosity=0)
User = get_user_model()
PASSWORD = "correct horse battery staple"
def post(path, data):
    return client.post(f"/api/auth/{path}", data, content_type="application/json")
def command(name, *args, **options):
    out = StringIO()
    call_command(name, *args, stdout=out, stderr=out, **options)
    return out.getvalue()
for line in sys.stdin:
    client = Client()
    try:
        with redirect_stdout(StringIO()):
            call_command("flush", interactive=False, verbosity=0)
            cache.clear()
            mail.outbox.clear()
            exec(json.loads(line), globals())
        print(json.dumps([result, ""]), flush=True)
    except BaseException:
        print(json.dumps([None, traceback.format_exc()]), flush=True)
"""


@cache
def _process(user_model: str) -> subprocess.Popen[str]:
    """Start a process, which ends with that of the tests. One for each piece of code would take long."""
    environment = {**os.environ, "USER_MODEL": user_model}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", _PROJECT], env=environment, text=True, **pipes)


def in_project(user_model: str, code: str) -> Any:
    """Run code in a project with this user model, whose tables are empty. Return what it assigns to ``result``."""
    process = _process(user_model)
    assert process.stdin
    assert process.stdout
    print(json.dumps(dedent(code)), file=process.stdin, flush=True)
    result, error = json.loads(process.stdout.readline())
    assert not error, error
    return result
