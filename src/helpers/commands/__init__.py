"""Define the commands of ``python -m helpers``; each imports what it needs when it runs, so that ``--help`` answers at once."""
