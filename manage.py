#!/usr/bin/env python
"""Django's command line. Errors that the user can correct are shown in one line, without a traceback."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # A command uses one connection. A pool would keep reconnecting in the background.
    os.environ["DATABASE_POOL"] = "0"
    from config import command_errors

    try:
        if sys.argv[1:2] == ["demo"]:
            from config.demo import first_run

            first_run.prepare(sys.argv[2:])
        if sys.argv[1:2] == ["runserver"]:
            command_errors.require_migrated_database(sys.argv[2:])
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"error: {command_errors.one_line(error)}")
    except command_errors.database_errors() as error:
        sys.exit(f"error: {command_errors.explain(error)}")


if __name__ == "__main__":
    main()
