"""The entry of the program: takes the command line, gives an exit status, shows no traceback for
anything that a person can fix.

Each command lives in a module of its own, which is imported when it is asked for, and imports what
it works with only when it runs, so that a command begins, and `headcount --help` answers, at once.
"""

from __future__ import annotations

import gc
import io
import os
import sys

import click

from headcount import __version__
from headcount.cli.commands import LateCommands
from headcount.errors import HeadcountError, OperatorError
from headcount.privacy import keep_to_ourselves
from headcount.terminal import say

__all__ = ["headcount", "main"]

_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
_PIPE_CLOSED = 1  # what click gives when it meets the closed pipe before we do


# In the order in which they are documented.
_COMMANDS = LateCommands(
    {
        "serve": "headcount.cli.serve:serve",
        "workspace": "headcount.cli.workspace:workspace",
        "source": "headcount.cli.source:source",
        "token": "headcount.cli.token:token",
        "link": "headcount.cli.link:link",
        "plan": "headcount.cli.plan:plan",
        "alert": "headcount.cli.alert:alert",
        "channel": "headcount.cli.channel:channel",
        "import": "headcount.cli.importing:import_",
        "usage": "headcount.cli.usage:usage",
        "libraries": "headcount.cli.libraries:libraries",
        "explain": "headcount.cli.explain:explain",
        "export": "headcount.cli.export:export",
        "tail": "headcount.cli.tail:tail",
        "reconcile": "headcount.cli.reconcile:reconcile",
        "doctor": "headcount.cli.doctor:doctor",
        "backup": "headcount.cli.backup:backup",
        "restore": "headcount.cli.backup:restore",
        "forget": "headcount.cli.forget:forget",
        "rotate-hash-key": "headcount.cli.rotate:rotate_hash_key",
        "cluster": "headcount.cli.cluster:cluster",
        "demo": "headcount.cli.demo:demo",
        "completion": "headcount.cli.completion:completion",
    }
)


@click.group(
    commands=_COMMANDS,
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


def main() -> None:
    """Run the command line in `sys.argv` and end the process with its exit status."""
    keep_to_ourselves()
    # What matrices there are are small: NumPy need not start a thread a processor for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    status = _run()
    gc.freeze()  # what is there at the end need not be searched for circles
    sys.exit(status)


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
