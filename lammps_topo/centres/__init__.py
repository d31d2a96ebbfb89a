"""Electronic (Wannier) centres of ions: dipoles, orientation, and a model that predicts dipoles and Born tensors."""
