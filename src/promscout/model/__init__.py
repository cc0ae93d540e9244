"""Values that every layer speaks: labels, target groups, durations, series and samples. No I/O, no clock, no logs."""
