"""Compare what the paper publishes and claims with what is recomputed here."""
