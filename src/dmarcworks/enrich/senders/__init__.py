"""Who sent it: the catalogue of sending services, and the identification of one from evidence. No DNS, no store."""
