"""What only a type checker reads."""
