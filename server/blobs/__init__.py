"""Photos and files by their hash: taken in pieces, verified, kept, shown to who may see what names them."""
