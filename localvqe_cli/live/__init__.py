"""Live calls: two devices with a clock each in, a clean microphone out. Nothing here but ``devices`` knows sound cards."""
