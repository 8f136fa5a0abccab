"""The pure core: bytes in, frozen values and named problems out; no I/O, settings, logging or clock.

The front door is `read.py`. Refused by name: what is no report, hits a bound or cannot be trusted in a number.
"""
