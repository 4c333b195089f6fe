"""Push: how a notice reaches a device that nobody is looking at. Stands alone: it knows no other room."""
