"""Apply many alignments to one feature matrix without materialising the aligned copies.

An alignment turns row x of a modality into ``scale * (x + shift)`` (see :mod:`helpers.alignment`), so the logits of probe a are
``scale_ia * (x_i W_a + shift_a W_a)``: one product of the unshifted rows with all probes' weights, then a factor per row and probe.
The gradient has the same form. Arrays are (K, A, b), outputs first and rows last, so that softmax and factors are vectorised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..alignment.shift import Alignment
from ..arrays import MappedRows

ROWS = 8192  # rows of a pass over the data whose features are held at a time, where not all of them are
ZERO_ROUNDING = 30  # a squared norm below this number of rounding errors is zero


@dataclass(frozen=True)
class MappedVectors:
    """Vectors that stay on disk, with the part of a tensor's interface that a view needs."""

    rows: MappedRows
    dtype: torch.dtype
    device: str

    def to(self, dtype) -> "MappedVectors":
        return replace(self, dtype=dtype)

    def index_select(self, _, item):
        return _unit(torch.from_numpy(self.rows[item.cpu().numpy()]).to(self.device, self.dtype))


@dataclass(frozen=True)
class Modality:
    """One modality under A alignments."""

    name: str
    vectors: torch.Tensor | MappedVectors  # (n_items, d), distinct and of unit norm, as stored
    item: torch.Tensor  # (n_pairs,) number of the vector of each pair
    shift: torch.Tensor  # (A, d), zero where an alignment does not move the vectors
    scale: torch.Tensor  # (n_items, A)


@dataclass(frozen=True)
class View:
    """The features of a probe, text before image, under A alignments."""

    modalities: tuple[Modality, ...]

    @property
    def n_alignments(self) -> int:
        return len(self.modalities[0].shift)

    @property
    def n_features(self) -> int:
        return sum(m.shift.shape[1] for m in self.modalities)

    def chunk(self, which: list[int]) -> "View":
        """Return the same features under some of the alignments; a position may occur several times."""
        return View(tuple(replace(m, shift=m.shift[which], scale=m.scale[:, which].contiguous()) for m in self.modalities))

    def to(self, dtype) -> "View":
        """Return the same view in another precision."""
        moved = ((m, m.vectors.to(dtype), m.shift.to(dtype), m.scale.to(dtype)) for m in self.modalities)
        return View(tuple(replace(m, vectors=x, shift=shift, scale=scale) for m, x, shift, scale in moved))

    def only(self, features: str) -> "View":
        """Return the view of ``joint``, ``image`` or ``text`` features."""
        return self if features == "joint" else View(tuple(m for m in self.modalities if m.name == features))

    def gather(self, rows) -> list[tuple]:
        """Return unshifted vectors (b, d) and scales (A, b) of some pairs, per modality."""
        return next(self.batches(rows, max(1, len(rows))))

    def batches(self, rows, size: int) -> Iterator[list[tuple]]:
        """Yield what :meth:`gather` returns for ``size`` pairs at a time; the scales are looked up all at once."""
        items = [m.item[rows] for m in self.modalities]
        scales = [m.scale.index_select(0, item).T.contiguous() for m, item in zip(self.modalities, items, strict=True)]
        for start in range(0, max(1, len(rows)), size):
            here = slice(start, start + size)
            columns = zip(self.modalities, items, scales, strict=True)
            yield [(m.vectors.index_select(0, item[here]), scale[:, here]) for m, item, scale in columns]

    def logits(self, batch, parameters):
        """Return the logits (K, A, b) of gathered rows under parameters (K, A, n_features + 1), whose last column is the bias."""
        total, start = parameters[..., -1:], 0
        for m, (x, scale) in zip(self.modalities, batch, strict=True):
            weight = parameters[..., start : start + x.shape[1]]
            start += x.shape[1]
            product = (weight.flatten(0, 1) @ x.T).view(*weight.shape[:2], len(x))
            total = product.add_((weight * m.shift).sum(dim=-1, keepdim=True)).mul_(scale).add_(total)
        return total

    def gradient(self, batch, residual):
        """Return the gradient (K, A, n_features + 1) from the gradient with respect to the logits (K, A, b)."""
        parts = []
        for m, (x, scale) in zip(self.modalities, batch, strict=True):
            scaled = residual * scale
            product = (scaled.flatten(0, 1) @ x).view(*residual.shape[:2], x.shape[1])
            parts.append(product.addcmul_(m.shift, scaled.sum(dim=-1, keepdim=True)))
        return concatenate([*parts, residual.sum(dim=-1, keepdim=True)])

    def predict(self, rows, parameters):
        """Return the logits (K, A, n) of pairs, computed block by block."""
        return concatenate([self.logits(self.gather(part), parameters) for part in rows.split(ROWS)])


class Blocks:
    """Positions and gathered rows for several passes: one block that is held in memory, or blocks gathered anew at each pass."""

    def __init__(self, view: View, rows: torch.Tensor, held: bool):
        self.view, self.rows = view, rows
        self.held = [(slice(0, len(rows)), view.gather(rows))] if held else None

    def __iter__(self) -> Iterator[tuple[slice, list[tuple]]]:
        parts = (slice(start, start + ROWS) for start in range(0, len(self.rows), ROWS))
        return iter(self.held or ((part, self.view.gather(self.rows[part])) for part in parts))


def build_view(embeddings, alignments: Sequence[Alignment], gap_rows, fit_rows, dtype, device) -> View:
    """Lay out embeddings under alignments whose gap is between means of ``gap_rows`` and whose scales are of ``fit_rows``."""
    names, stored = ("text", "image"), {"text": embeddings.text, "image": embeddings.image}
    vectors = {
        m: MappedVectors(x, dtype, device) if isinstance(x, MappedRows) else _unit(torch.tensor(x, dtype=dtype, device=device))
        for m, x in stored.items()
    }
    items = {m: embeddings.pairs[m].to_numpy() for m in names}
    means = {m: _mean(stored[m], items[m][gap_rows]) for m in names}
    shifts = [a.shifts(means["image"], means["text"]) for a in alignments]
    shift = {m: torch.as_tensor(np.stack([s[m == "text"] for s in shifts])).to(device, dtype) for m in names}
    norm = {m: _norms(m, vectors[m], shift[m], alignments) for m in names}
    inverse_mean = {m: (1 / norm[m][torch.tensor(items[m][fit_rows]).to(device)]).double().mean(dim=0).tolist() for m in names}
    scale = {m: torch.empty_like(norm[m]) for m in names}
    for a, alignment in enumerate(alignments):
        image, text = alignment.scales(
            norm["image"][:, a].cpu().numpy(), norm["text"][:, a].cpu().numpy(), inverse_mean["image"][a], inverse_mean["text"][a]
        )
        scale["image"][:, a], scale["text"][:, a] = torch.from_numpy(image), torch.from_numpy(text)
        if "shift" not in alignment.channels:
            shift["image"][a], shift["text"][a] = 0, 0
    return View(tuple(Modality(m, vectors[m], torch.tensor(items[m]).to(device), shift[m], scale[m]) for m in names))


def _mean(vectors: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the mean over pairs, in float64, of unit vectors that several pairs may share."""
    counts, total = np.bincount(items, minlength=len(vectors)).astype(np.float64), np.zeros(vectors.shape[1])
    for start in range(0, len(vectors), 1024):
        block = vectors[start : start + 1024].astype(np.float64)
        total += (counts[start : start + 1024] / np.sqrt(np.einsum("ij,ij->i", block, block))) @ block
    return total / len(items)


def _unit(vectors):
    """Make float64 rows unit to the last digit, in place; float32 rows are unit already."""
    return vectors.div_(vectors.norm(dim=1, keepdim=True)) if vectors.dtype == torch.float64 else vectors


def _norms(modality: str, vectors, shift, alignments: Sequence[Alignment]):
    """Return the norms ``||x + shift||`` (n, A) from the expanded square."""
    numbers = torch.arange(len(vectors.rows)).split(ROWS) if isinstance(vectors, MappedVectors) else ()
    parts = (vectors.index_select(0, some) for some in numbers) if numbers else [vectors]
    added, square = (2 * shift).T, shift.square().sum(dim=1)
    squared = torch.cat([torch.linalg.vector_norm(x, dim=1, keepdim=True).square() + x @ added + square for x in parts])
    at_zero = (squared < ZERO_ROUNDING * torch.finfo(squared.dtype).eps).sum(dim=0).tolist()
    for alignment, count in zip(alignments, at_zero, strict=True):
        if count and alignment.channels != ("shift",):
            how = f"alignment {alignment.name!r} (lambda {getattr(alignment, f'lambda_{modality}'):g})"
            raise ValueError(f"{how} sends {count} of {len(squared)} {modality} vectors to zero; exclude this lambda or alignment")
    return squared.clamp_(min=1e-12).sqrt_()


def concatenate(parts):
    """Return tensors joined along their last axis, without a copy if there is one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
