"""What sessions cost, measured side by side with what they replace. `python -m benchmarks` runs everything."""
