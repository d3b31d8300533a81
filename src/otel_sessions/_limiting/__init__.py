"""How limits are enforced: what a session asks for is decided in the store, counted, and said."""
