"""The pure core: bytes in, frozen values and named problems out; no I/O, settings, logging or clock.

The entry point is `read.py`. Input that is no report, exceeds a bound or has unreliable numbers is refused; the
problem names the reason.
"""
