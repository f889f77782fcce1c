r"""Divide the information that two sources have about a target into unique, redundant and synergistic shares.

Definition: minimum mutual information (Barrett, Physical Review E 91, 2015). The redundant share is the smaller of both,

.. math:: R = \min(I_v, I_t), \quad U_v = I_v - R, \quad U_t = I_t - R, \quad S = I_{vt} - \max(I_v, I_t) .

It is one end of the range that the measured numbers allow: any decomposition with :math:`R + U_v = I_v`, :math:`R + U_t = I_t`,
:math:`R + U_v + U_t + S = I_{vt}` and no negative share has :math:`\max(0, I_v + I_t - I_{vt}) \le R \le \min(I_v, I_t)`. Barrett's
redundancy and synergy are thus the largest, his unique shares the smallest. :func:`share_bounds` gives the other ends.
"""

import numpy as np

SHARES = ("unique_image", "unique_text", "redundant", "synergistic")


def information_shares(image, text, both) -> dict[str, np.ndarray]:
    """Return the four shares under Barrett's definition; they add up to ``both``.

    Args:
        image, text, both: information of each source and of both about the target, in any unit; numbers or arrays of equal shape.

    Raises:
        ValueError: a value that is not finite.
    """
    image, text, both = _finite(image, text, both)
    redundant = np.minimum(image, text)
    return _shares(image, text, both, redundant)


def share_bounds(image, text, both) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the smallest and largest value of each share over all decompositions without a negative share."""
    image, text, both = _finite(image, text, both)
    most = np.minimum(image, text)
    least = np.minimum(np.maximum(0, image + text - both), most)  # estimates may be inconsistent by their error
    ends = [_shares(image, text, both, redundant) for redundant in (least, most)]
    return {name: (np.minimum(ends[0][name], ends[1][name]), np.maximum(ends[0][name], ends[1][name])) for name in SHARES}


def _shares(image, text, both, redundant) -> dict[str, np.ndarray]:
    values = (image - redundant, text - redundant, redundant, both - image - text + redundant)
    return dict(zip(SHARES, values, strict=True))


def _finite(*values) -> list[np.ndarray]:
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    for name, array in zip(("image", "text", "both"), arrays, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(f"the information of {name} is not finite; shares need three finite numbers")
    return arrays
