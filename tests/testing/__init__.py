"""What users test their own sessions with."""
