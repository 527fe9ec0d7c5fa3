"""Maps and folds over the blocks of a cube, in bounded memory."""
