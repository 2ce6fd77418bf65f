"""Tell others of events over HTTP, and be led by nobody to where only this machine can go."""
