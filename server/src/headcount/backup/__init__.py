"""Copies of a data folder: takes one while the server runs, and makes a folder out of one again.

Takes a data folder, gives a folder with a manifest that is verified after it was written; takes
such a folder, gives a data folder on which a server goes on counting without losing or repeating a
message. Owns the manifest; a backup is whole exactly if it has one.
"""

from headcount.backup.files import Progress
from headcount.backup.manifest import Manifest
from headcount.backup.restoring import restore
from headcount.backup.taking import back_up

__all__ = ["Manifest", "Progress", "back_up", "restore"]
