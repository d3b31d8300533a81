"""The emitter: spans, events and metrics as an SDK sees them."""
