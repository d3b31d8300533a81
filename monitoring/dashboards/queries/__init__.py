"""What the panels ask, apart from how they look: one file per dashboard."""
