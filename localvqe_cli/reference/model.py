"""The LocalVQE model in PyTorch (report, section 2).

    mic ─ encoder ─ power law ─ mic_enc1 ─ mic_enc2 ──────┬─ mic_enc3..5 ─ bottleneck ─ dec5..dec1 ─ mask ─ decoder
    ref ─ encoder ─ power law ─ far_enc1 ─ far_enc2 ─ align                             (skips from mic_enc5..1)

Where the configuration has a front-end, mic and ref first pass an adaptive filter; see ``frontend``. Where it has a
residual echo stage, a gain per bin follows; see ``residual_echo``. A configuration without a network ends there.

Module names are the checkpoint's state-dict names (``localvqe_cli.tensors``). Each block lives in a file of its own,
named as in the native engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import tensors
from ..config import MIC_STAGES, ModelConfig
from ..errors import CheckpointError, UsageError
from .align import AlignBlock
from .bottleneck import S4D
from .conv_block import EncoderBlock
from .decoder_block import DecoderBlock
from .features import power_law
from .filterbank import Analysis, Synthesis, split_hops
from .frontend import KalmanFrontend
from .history import History, causal_pad
from .mask import IDENTITY_TAP, ConvolvingMask
from .residual_echo import ResidualEcho

__all__ = ["LocalVQE", "Taps"]

Taps: TypeAlias = dict[str, Tensor]


class LocalVQE(nn.Module):
    """Removes echo, noise and reverberation from 16 kHz speech.

    A fresh model passes the microphone through: its mask is the identity (report, 2.3), exactly in version 1 and to
    the accuracy of the STFT codec in versions 2 and 3.

    Args:
        config: architecture version, widths and lags.
        temperature: softmax temperature of the AlignBlock, a saved constant.
        gain_std: standard deviation of the initial S4D input and output gains.
    """

    def __init__(self, config: ModelConfig, *, temperature: float = 0.1, gain_std: float = 0.3) -> None:
        super().__init__()
        self.config = config
        version, kernel = config.version, (config.kernel_size_h, config.kernel_size_w)
        self.frontend = None if config.frontend is None else KalmanFrontend(config.frontend)
        self.residual_echo = None if config.residual is None else ResidualEcho(config.residual)
        if not config.network:
            return
        self.encoder = Analysis(config)
        self.decoder = Synthesis(config)
        for block in tensors.blocks(config):
            if block.name == "mic_enc3":
                self.align = AlignBlock(config, temperature=temperature)
            if block.name == f"dec{MIC_STAGES}":
                self.bottleneck = S4D(config, gain_std=gain_std)
            module = (
                DecoderBlock(version, block.in_channels, block.out_channels, kernel, last=block.name == "dec1")
                if block.decoder
                else EncoderBlock(version, block.in_channels, block.out_channels, kernel)
            )
            self.add_module(block.name, module)
        self.mask = ConvolvingMask()
        self._pass_through()

    @classmethod
    def from_state(cls, config: ModelConfig, state: Mapping[str, Tensor]) -> LocalVQE:
        """A model in evaluation mode with the weights of a checkpoint; names and shapes must match exactly.

        Raises:
            CheckpointError: they do not.
        """
        model = cls(config)
        try:
            model.load_state_dict(dict(state), strict=True)
        except RuntimeError as exc:
            problem = " ".join(str(exc).split())
            raise CheckpointError(f"state dict does not fit its configuration: {problem[:200]}") from exc
        return model.eval()

    @torch.no_grad()
    def _pass_through(self) -> None:
        last = self.get_submodule("dec1.deconv.conv")
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.zero_()
        last.bias.zero_()
        for half in range(2):
            last.bias[half * last.out_channels // 2 + IDENTITY_TAP] = 1.0

    def parameter_count(self) -> int:
        """Parameters as the report counts them: the two frozen bases included, buffers left out."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, mic: Tensor, ref: Tensor, taps: Taps | None = None) -> Tensor:
        """Enhance whole clips.

        Args:
            mic: microphone, (B, N), N >= 1, 16 kHz.
            ref: far-end reference, same shape.
            taps: if given, filled with every block's output over all T = ceil(N / 256) + 1 frames: ``mic_spectrum``,
                ``ref_spectrum``, ``enhanced`` (B, 256, T, 2); ``mic_enc1``..``5``, ``far_enc1``, ``far_enc2``,
                ``align``, ``bottleneck``, ``dec5``..``dec1`` (B, C, T, F); ``delay`` (B, T, dmax), oldest lag first;
                with a front-end ``frontend_error`` and ``frontend_echo`` (B, 1, T, 256), samples; with a residual
                echo stage ``residual_gain`` (B, 1, T, 257).

        Returns:
            (B, N), aligned with ``mic``.

        Raises:
            UsageError: shapes that differ, or an empty clip.
        """
        if mic.ndim != 2 or mic.shape != ref.shape or mic.shape[1] == 0:
            raise UsageError(f"mic and ref need one shape (B, N), N >= 1; got {tuple(mic.shape)}, {tuple(ref.shape)}")
        hop, samples = self.config.hop_length, mic.shape[1]
        whole = -samples % hop
        out = self.run(split_hops(F.pad(mic, (0, whole)), hop), split_hops(F.pad(ref, (0, whole)), hop), taps=taps)
        return out[:, hop : hop + samples]

    def run(self, mic: Tensor, ref: Tensor, *, history: History | None = None, taps: Taps | None = None) -> Tensor:
        """The raw stream: hops (B, T, 256) in, samples (B, 256 T) out, one hop late.

        Without ``history`` the hops follow silence; with it they continue where the last call ended.
        """
        taps = {} if taps is None else taps
        if self.frontend is not None:
            mic, ref = self.frontend(mic, ref, history)
            taps["frontend_error"], taps["frontend_echo"] = mic[:, None], ref[:, None]
        gain = None
        if self.residual_echo is not None:
            gain, error_spectrum = self.residual_echo(mic, ref, history)
            taps["residual_gain"] = gain[:, None]
            if not self.config.network:
                return self.residual_echo.samples(gain * error_spectrum, history)
        if not self.config.network:
            return causal_pad(mic, 1, history, self, "error")[:, :-1].flatten(1)

        c = self.config.power_law_c
        spectrum = self.encoder(mic, history, "mic")
        if gain is not None:
            spectrum = spectrum * gain[..., 1:].transpose(1, 2)[..., None]  # the codec has no DC bin
        taps["mic_spectrum"] = spectrum
        far_spectrum = taps["ref_spectrum"] = self.encoder(ref, history, "ref")

        far = power_law(far_spectrum, c)
        for name in ("far_enc1", "far_enc2"):
            far = taps[name] = self.get_submodule(name)(far, history)

        x = power_law(spectrum, c)
        skips = []
        for stage in range(1, MIC_STAGES + 1):
            if stage == 3:
                aligned, taps["delay"] = self.align(x, far, history)
                taps["align"] = aligned
                x = torch.cat([x, aligned], dim=1)
            name = f"mic_enc{stage}"
            x = taps[name] = self.get_submodule(name)(x, history)
            skips.append(x)

        x = taps["bottleneck"] = self.bottleneck(x, history)
        for stage in range(MIC_STAGES, 0, -1):
            name = f"dec{stage}"
            x = taps[name] = self.get_submodule(name)(x, skips.pop(), history)

        enhanced = taps["enhanced"] = self.mask(x, spectrum, history)
        out: Tensor = self.decoder(enhanced, history)
        return out
