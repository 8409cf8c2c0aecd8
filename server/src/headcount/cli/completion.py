"""`headcount completion`: prints what makes a shell complete commands and options."""

from __future__ import annotations

import click

from headcount.terminal import write_text

__all__ = ["completion"]

_VARIABLE = "_HEADCOUNT_COMPLETE"


@click.command(
    epilog="""\b
Examples:
  headcount completion bash > ~/.local/share/bash-completion/completions/headcount
  headcount completion zsh > "${fpath[1]}/_headcount"
  headcount completion fish > ~/.config/fish/completions/headcount.fish

Or for one session of bash: source <(headcount completion bash)"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL: bash, zsh or fish.

    Put it where the shell looks for such scripts, and start a new one.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click completes every shell that can be named"
    program = context.find_root()
    write_text(found(program.command, {}, program.info_name or "headcount", _VARIABLE).source())
