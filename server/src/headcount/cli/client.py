"""Makes sure that the client that commands read through is the one that was released with them.

Another distribution is imported by the same name, and pip does not see that it wrote over ours.
"""

from __future__ import annotations

import shlex
import sys

from headcount import __version__
from headcount.errors import OperatorError

__all__ = ["check_client"]


def check_client() -> None:
    """Look which client is installed.

    Raises:
        OperatorError: none, another version, or another package of the name.
    """
    try:
        import segment_public_api

        found = segment_public_api.__version__
    except (ImportError, AttributeError) as error:
        found = f"broken ({error})"
    if found != __version__:
        pip = f"{shlex.quote(sys.executable)} -m pip"
        raise OperatorError(
            f"Usage is read through headcount-client {__version__}, and what is installed as"
            f" segment_public_api is {found}.",
            f"Another package of that name may have been put over it: {pip} uninstall --yes"
            " segment-public-api headcount-client; then install Headcount again, as it was.",
        )
