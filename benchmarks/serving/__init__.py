"""How the image serves under load, beside the same model behind other servers."""
