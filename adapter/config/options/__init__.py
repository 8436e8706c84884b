"""The tables of options. Every option is declared in one of these modules."""
