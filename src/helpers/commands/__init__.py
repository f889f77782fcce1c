"""The commands of ``python -m helpers``: each module adds its arguments and a ``run`` that returns an exit code."""
