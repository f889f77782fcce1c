"""What the paper publishes and claims, beside what is recomputed here."""
