"""Live calls: two devices with a clock each in, a clean microphone out. Only ``devices`` knows sound cards."""
