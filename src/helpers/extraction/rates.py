"""Report the rates of decoding and of encoding images apart, so that it shows which of the two limits an extraction."""

from dataclasses import dataclass


@dataclass
class Rates:
    """What the images of one run took.

    Args:
        processes: processes that decode.
        images: images decoded and encoded so far.
        decoding: seconds of reading, decoding and preprocessing, all processes together.
        encoding: seconds of the encoder.
    """

    processes: int
    images: int = 0
    decoding: float = 0.0
    encoding: float = 0.0

    def add(self, images: int, decoding: float, encoding: float) -> None:
        """Count one batch."""
        self.images, self.decoding, self.encoding = self.images + images, self.decoding + decoding, self.encoding + encoding

    @property
    def decoded_per_second(self) -> float:
        """Return how many images all processes together can decode in a second."""
        return self.processes * self.images / max(self.decoding, 1e-9)

    @property
    def encoded_per_second(self) -> float:
        """Return how many images the encoder takes in a second, once they are decoded."""
        return self.images / max(self.encoding, 1e-9)

    @property
    def limit(self) -> str:
        """Return which is the slower of the two: ``decoding`` or ``encoding``."""
        return "decoding" if self.decoded_per_second < self.encoded_per_second else "encoding"

    def __str__(self) -> str:
        cores = f"{self.processes} process{'es' if self.processes > 1 else ''}"
        advice = {"decoding": "more processor cores make this faster", "encoding": "a faster accelerator makes this faster"}
        return (
            f"images: decoding {self.decoded_per_second:.1f}/s ({cores}), encoding {self.encoded_per_second:.1f}/s; "
            f"{self.limit} is the limit, {advice[self.limit]}"
        )
