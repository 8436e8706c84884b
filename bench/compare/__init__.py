"""Compares the adapter with its peers, in one run on one machine.

The fakes on both sides of a candidate are C programs that cost next to nothing and say what they cost. The candidates
of a row are alive at the same time and take turns, round after round, so that whatever else happens on the machine
happens to all of them. The first figure is the CPU time of the candidate alone; figures are medians over the rounds,
ratios are medians of the ratios within a round.
"""
