"""The parts of LocalVQE and its command line. Programs use what ``import localvqe`` offers, which is made of them."""
