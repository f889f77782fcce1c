"""The commands of ``python -m helpers``, a module each: ``add_arguments(parser)`` and ``run(args)``, which returns an exit code."""
