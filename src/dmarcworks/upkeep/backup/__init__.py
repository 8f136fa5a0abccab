"""Back up and restore: a consistent copy of the catalogue and of every object that it names."""
