"""Smaller model files: block formats chosen tensor by tensor, by what each costs in output quality.

::

    quantize("model.gguf", "model-q4_k.gguf", "Q4_K", calibrate="pairs.tsv", min_snr=25)

``formats`` says what a tensor can be stored as, ``clips`` reads calibration audio, ``measure`` runs the engine on it,
``plan`` chooses types, ``run`` does it all and writes the file. Method and results: docs/reference/quantization.md.
"""

from __future__ import annotations

from .run import TYPES, QuantizeSummary, TensorSummary, default_output, quantize

__all__ = ["TYPES", "QuantizeSummary", "TensorSummary", "default_output", "quantize"]
