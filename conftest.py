"""What every test relies on, whoever starts the tests and however busy the machine is."""

import signal

from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background makes them ignore Ctrl-C, and the programs that
# they start would inherit that; several tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time, and so neither do the examples of one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
