"""The one door for writes, and the pull that tells everybody what came through it."""
