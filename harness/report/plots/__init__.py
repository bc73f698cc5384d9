"""The plots of a report, one function per plot, all of them in `style`'s looks."""
