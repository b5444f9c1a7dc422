"""Images: decoding, resizing, cropping, colour changes, and layout for networks."""
