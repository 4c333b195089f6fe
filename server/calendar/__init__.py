"""Calendar feed: one's own open follow-ups and planned visits in any calendar program, by a secret address."""
