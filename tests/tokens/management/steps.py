"""What tests of the commands do again and again."""

from io import StringIO

from django.core.management import call_command


def output_of(command: str, *arguments: str) -> str:
    """Run a command, and return what it prints."""
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()
