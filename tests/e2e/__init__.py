"""Whole processes: what an unmodified application really sends."""
