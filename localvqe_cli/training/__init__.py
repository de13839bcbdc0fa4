"""Training: data synthesis, losses and the loop behind ``localvqe train``. Needs the extra ``train``.

manifest ─ corpus ──┐
rooms ──────────────┼─ scene ─ dataset ─ loop ─ checkpoints, log, plot
loudspeaker, noises ┘                     │
                   losses, optim, ema, validation
"""
