"""The server of Rounds: one room per business word, the same room on each floor."""
