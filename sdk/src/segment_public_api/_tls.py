"""Takes a configuration's certificates; gives the TLS context that both transports use."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .configuration import Configuration


def context(configuration: Configuration) -> ssl.SSLContext:
    """A TLS context for `configuration`.

    Without `ssl_ca_cert` and `ca_cert_data`, the system's authorities are trusted, and those that
    the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.

    Raises:
        OSError: a certificate or key file that cannot be read or holds none.
    """
    made = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
    )
    if configuration.cert_file:
        made.load_cert_chain(configuration.cert_file, configuration.key_file)
    # A name of one's own choosing is compared by the transport instead of by OpenSSL.
    if not configuration.verify_ssl or configuration.assert_hostname is False:
        made.check_hostname = False
    if not configuration.verify_ssl:
        made.verify_mode = ssl.CERT_NONE
    return made
