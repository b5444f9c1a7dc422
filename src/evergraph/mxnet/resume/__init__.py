"""Trainings that go on to the bit: what a training's state is, how it is taken from living objects and put back.

`living` walks objects, `streams` random numbers, `parts` parameters and optimizers of modules; `session` runs through a
fit and saves; `checkpoint` is what the user asks with.
"""
