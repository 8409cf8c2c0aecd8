"""Data folders of the former format: makes one of this version's format out of them.

Takes the folder while nobody else uses it, gives the same folder with every row that was in it,
each with a checksum now. The former databases stay, in the folder `former`, until the new ones are
read and compared row by row; killed at any point, the next command that writes goes on.
"""

from headcount.upgrade.folder import remove_former, upgrade_databases, upgrade_folder

__all__ = ["remove_former", "upgrade_databases", "upgrade_folder"]
