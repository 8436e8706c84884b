"""Compares the adapter with its peers, in one run on one machine.

The fakes on both sides of a candidate are C programs that use almost no CPU time and report how much they use. All
candidates of a row run at the same time and take turns, so that other load on the machine affects all of them. The
first figure is the CPU time of the candidate alone. Figures are medians of the rounds, and ratios are medians of the
ratios within a round.
"""
