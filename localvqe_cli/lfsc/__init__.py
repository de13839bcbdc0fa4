"""The Low Frame-rate Speech Codec: from a ``.nemo`` archive to a model file, and from sound to tokens and back.

``nemo`` opens archives, ``nemo_config`` and ``weight_norm`` make hyperparameters and plain weights of them, ``export``
writes the model file. ``reference`` is the network in PyTorch; ``chunks`` runs it on sound of any length, ``codec`` is
what programs use, ``tokens`` is the file of tokens, ``codec_files`` goes from files to files.
"""
