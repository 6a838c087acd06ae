"""What Open edX's plugin machinery does to its settings, by the kind of settings."""
