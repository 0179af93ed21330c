"""Recognition of distortions: a light classifier of images that runs before the first exit."""
