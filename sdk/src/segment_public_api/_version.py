"""The version of this package, and of the API description that its names follow."""

__version__ = "0.1.0"

API_VERSION = "73.2.0"
"""Version of the documented client whose surface this package keeps."""
