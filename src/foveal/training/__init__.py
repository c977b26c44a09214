"""How the shipped networks were trained: networks that decide by parts, and those of the drawn world."""
