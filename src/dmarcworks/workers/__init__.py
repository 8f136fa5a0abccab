"""Workers: what a handler sees, how one is run, and the DMARC worker itself."""
