"""What every test of the server relies on, whoever starts the tests."""

import signal

# A shell that starts the tests in the background makes them ignore Ctrl-C, and the programs that
# they start would inherit that; several tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
