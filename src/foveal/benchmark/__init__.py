"""Every method on many images: `foveal benchmark synthetic | folder`. Resumable; a table of values, a page."""
