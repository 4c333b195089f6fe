"""Indicators: facts become readings, readings scores, and every point says where it comes from."""
