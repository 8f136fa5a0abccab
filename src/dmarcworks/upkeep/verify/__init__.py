"""Compare catalogue, objects and analytics, name every difference and repair what can be repaired."""
