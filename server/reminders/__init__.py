"""Reminders: what is owed to whom and when, kept as rows; a row is the schedule."""
