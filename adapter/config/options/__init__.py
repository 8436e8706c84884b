"""The tables of options. Every option is declared in one of the modules of this package."""
