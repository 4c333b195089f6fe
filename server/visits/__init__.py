"""Check-in, check-out, evidence, trust, validity; what follows a visit."""
