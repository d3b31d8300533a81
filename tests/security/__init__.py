"""What keeps personal data and credentials inside the process."""
