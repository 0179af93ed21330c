"""The part of a run's report on the codec of features between tiers."""

from dataclasses import dataclass

from eenas.percent import percent


@dataclass(frozen=True, kw_only=True)
class CodecReport:
    """The codec of features on each link of a run, from the device to the cloud, and its measured accuracy.

    `stated` are the codecs of the study. `loss` is the accuracy on validation at the run's split without the codecs
    minus that with them; `codec_accuracy` is the accuracy on the test split with them, at the split reported there.
    """

    codecs: tuple[str, ...]
    stated: tuple[str, ...]
    loss: float
    codec_accuracy: float

    def sentence(self) -> str:
        """Return the result in one sentence."""
        used = ", ".join(self.codecs)
        instead = "" if self.codecs == self.stated else f" instead of {', '.join(self.stated)}, which lost too much"
        return (
            f"Features that cross a link are sent as {used}{instead}: {percent(self.codec_accuracy)} on the test split "
            f"with it ({100 * -self.loss:+z.2f} points on validation)."
        )
