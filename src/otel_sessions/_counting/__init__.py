"""What a store counts for limits, and how: arithmetic that knows no clock and does no I/O."""
