"""The entry of the program: takes the command line, gives an exit status, shows no traceback for
anything that a person can fix.

Each command lives in a module of its own and imports what it works with only when it runs, so that
`headcount --help` answers at once.
"""

from __future__ import annotations

import io
import os
import sys

import click

from headcount import __version__
from headcount.cli.alert import alert
from headcount.cli.backup import backup, restore
from headcount.cli.channel import channel
from headcount.cli.cluster import cluster
from headcount.cli.completion import completion
from headcount.cli.demo import demo
from headcount.cli.doctor import doctor
from headcount.cli.explain import explain
from headcount.cli.export import export
from headcount.cli.forget import forget
from headcount.cli.importing import import_
from headcount.cli.libraries import libraries
from headcount.cli.link import link
from headcount.cli.plan import plan
from headcount.cli.reconcile import reconcile
from headcount.cli.rotate import rotate_hash_key
from headcount.cli.serve import serve
from headcount.cli.source import source
from headcount.cli.tail import tail
from headcount.cli.token import token
from headcount.cli.usage import usage
from headcount.cli.workspace import workspace
from headcount.errors import HeadcountError, OperatorError
from headcount.privacy import keep_to_ourselves
from headcount.terminal import say

__all__ = ["headcount", "main"]

_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
_PIPE_CLOSED = 1  # what click gives when it meets the closed pipe before we do


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
See it work:
  headcount demo

\b
First steps:
  headcount workspace add Shop
  headcount source add web --workspace Shop
  headcount token add --workspace Shop
  headcount serve

Every command takes --data DIR (or HEADCOUNT_DATA) and explains itself with --help.""",
)
@click.version_option(__version__, prog_name="headcount", message="%(prog)s %(version)s")
def headcount() -> None:
    """Count API calls and monthly tracked users, exactly and live.

    Point a tracking SDK at `headcount serve`, and read usage by source and day from its API.
    """


for command in (
    serve, workspace, source, token, link, plan, alert, channel, import_, usage, libraries, explain,
    export, tail, reconcile, doctor, backup, restore, forget, rotate_hash_key, cluster, demo,
    completion,
):  # fmt: skip
    headcount.add_command(command)


def main() -> None:
    """Run the command line in `sys.argv` and end the process with its exit status."""
    keep_to_ourselves()
    sys.exit(_run())


def _run() -> int:
    try:
        status = headcount.main(prog_name="headcount", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        # What click says quotes what it was given, be it the name of a file that a shell put there.
        quoting = io.StringIO()
        error.show(quoting)
        say(*quoting.getvalue().splitlines())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return _INTERRUPTED
    except OperatorError as error:
        say(f"Error: {error.problem} {error.remedy}")
        return error.exit_status
    except HeadcountError as error:
        say(f"Error: {error}")
        return 1
    except BrokenPipeError:
        _forget_output()
        return _PIPE_CLOSED
    except OSError as error:
        from headcount.remedies import Cause, cause_of, remedy_for

        match cause_of(error):
            case Cause.FULL:
                say("Error: The disk is full. Free some space, then try again.")
                _forget_output()
            case Cause.OTHER:
                raise
            case _:
                place = error.filename or "A file"
                say(f"Error: {place} cannot be used: {error.strerror}. {remedy_for(error)}")
        return 1
    return status if isinstance(status, int) else 0


def _forget_output() -> None:
    """Let the interpreter's last flush go nowhere; it would fail again, and say so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
