"""Define the commands of ``python -m helpers``, one module each, by ``add_arguments(parser)`` and ``run(args)`` -> exit code."""
