-- Makes the sums of a day anew from those of its hours; the keys are that of the day, and those of the hours.
add_up_day(KEYS[SHARED + 1], SHARED + 2, #KEYS)
