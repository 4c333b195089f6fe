"""Organisations, teams, persons, sessions, devices; who may see what."""
