"""`mx.image`: images decoded, resized, cropped and augmented."""
