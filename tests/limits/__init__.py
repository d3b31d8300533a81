"""Limits: the values, the arithmetic, and what sessions make of them."""
