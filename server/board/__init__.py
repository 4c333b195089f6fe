"""The manager's reading side: queries only."""
