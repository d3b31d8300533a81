"""The web integrations, on real servers and real sockets."""
