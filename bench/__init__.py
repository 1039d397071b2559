"""Figures of this machine beside their floors; every figure is printed with what it is compared to."""
