"""Keeping personal data and credentials inside the process."""
