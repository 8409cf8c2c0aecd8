"""`python -m support.engine_for ENGINE COMMAND…`: a command beside an engine's real servers.

The command finds their address and process ids in `ENGINE_ADDRESS` and `ENGINE_PIDS`.
"""

from __future__ import annotations

import os
import subprocess
import sys

from support.engine_servers import ENGINES

__all__ = ["main"]


def main() -> int:
    """Run the command.

    Returns:
        Its exit status.
    """
    engine, *command = sys.argv[1:]
    servers = ENGINES[engine]()
    try:
        pids = ",".join(map(str, servers.pids()))
        added = {"ENGINE_ADDRESS": servers.address, "ENGINE_PIDS": pids}
        return subprocess.run(command, env=os.environ | added, check=False).returncode
    finally:
        servers.close()


if __name__ == "__main__":
    sys.exit(main())
