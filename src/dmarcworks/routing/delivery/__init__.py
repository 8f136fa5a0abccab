"""Mail that leaves: forwards and replies through the relay, sender rewriting and signatures."""
