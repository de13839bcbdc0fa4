"""A model as an ONNX graph of one hop, for other runtimes: write it, check it, run it. docs/reference/onnx.md.

``model`` puts the graph together out of a file per block, named as in ``reference``; ``writer`` makes a file of it,
``reader`` checks one, ``session`` runs it in onnxruntime in place of the engine. The first two need the package onnx,
the last onnxruntime as well, and a model with a front-end torch, whose module holds the front-end's numbers.
"""
