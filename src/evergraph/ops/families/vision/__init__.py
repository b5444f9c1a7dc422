"""Object detection: anchors, matching, suppression, proposals and region pooling."""
