"""Network facts about addresses: ASN and country from IP data files, names from DNS."""
