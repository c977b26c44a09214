"""Maps as pictures, pictures as sheets and pages: the only place that knows colors."""
