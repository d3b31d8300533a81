"""How the report page looks: its sections, and the plots in them, which are drawn here."""
