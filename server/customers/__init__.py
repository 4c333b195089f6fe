"""Places and owners; near enough?; import and export."""
