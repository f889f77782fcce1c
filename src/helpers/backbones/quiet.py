"""Load models without the libraries' messages and questions; the loaders check what matters and raise it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from transformers import dynamic_module_utils as transformers_loading
from transformers.integrations import hub_kernels
from transformers.utils import logging as hf


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and messages below ERROR from transformers and open_clip inside the block."""
    level, bars = hf.get_verbosity(), hf.is_progress_bar_enabled()
    hf.set_verbosity_error()
    hf.disable_progress_bar()
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        hf.set_verbosity(level)
        if bars:
            hf.enable_progress_bar()


@contextmanager
def no_remote_code() -> Iterator[None]:
    """Refuse code from a model repository inside the block, where transformers would otherwise ask at the terminal.

    Refuse also kernels of the hub, which are compiled code that a configuration can name.
    """
    seconds_to_answer = transformers_loading.TIME_OUT_REMOTE_CODE
    kernels_available = hub_kernels.is_kernels_available
    transformers_loading.TIME_OUT_REMOTE_CODE = 0
    hub_kernels.is_kernels_available = lambda *_, **__: False
    try:
        yield
    finally:
        transformers_loading.TIME_OUT_REMOTE_CODE = seconds_to_answer
        hub_kernels.is_kernels_available = kernels_available
