"""Programs of other people that generate reports: they make and send real ones, and our columns equal their databases.

`pytest tests/peers` runs them on loopback only, with a DNS server of the tests; `.ci/run` installs the programs.
"""
