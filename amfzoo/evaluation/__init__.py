"""How good the probabilities are. Needs scikit-learn: ``pip install 'amfzoo[train]'``."""
