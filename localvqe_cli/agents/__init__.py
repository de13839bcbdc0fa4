"""Voice agents: their own speech is the far end of the caller's microphone. One module for each framework."""
