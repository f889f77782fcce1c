"""Loading without the libraries' chatter, questions and downloads; what matters in it is checked and raised instead."""

import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from safetensors import SafetensorError
from transformers import dynamic_module_utils as transformers_loading
from transformers.integrations import hub_kernels
from transformers.utils import logging as hf


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no messages below ERROR from transformers and open_clip inside the block."""
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
    """Refuse code from a model repository where a library leaves the question to transformers, which would ask at the terminal.

    The same for kernels of the hub, compiled code that a configuration can name.
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


@contextmanager
def offline() -> Iterator[None]:
    """Let the model hub's client use its local cache alone inside the block."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def readable_weights() -> Iterator[None]:
    """Say in one sentence that weights are damaged.

    Raises:
        OSError: the file of weights is cut short, is damaged, or would need unpickling.
    """
    try:
        yield
    except (SafetensorError, pickle.UnpicklingError, EOFError) as error:
        raise OSError(f"its weights are cut short or damaged ({type(error).__name__})") from error
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error) and "size mismatch" not in str(error):
            raise
        raise OSError("its weights are cut short, damaged or of another architecture") from error


def all_weights_found(name: str, info: dict) -> None:
    """A checkpoint must give every weight, or the encoder would be partly random.

    Raises:
        ValueError: names the first weight the checkpoint lacks.
    """
    missing = sorted(info["missing_keys"])
    if missing:
        raise ValueError(
            f"{name}: the checkpoint lacks {len(missing)} weights, first {missing[0]}; it is not a model of this architecture"
        )
