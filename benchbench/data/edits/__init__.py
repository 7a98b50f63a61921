"""Edits of images, thirteen of them, each at any strength: what an editing tool does, as pure functions.

`edit.EDITS` has them by name with what a strength means; `edit.apply` carries one out. Geometric ones say where each
pixel comes from and where it went (`geometry`), so that there is a way back and a mask of what is still there; pixels
are changed where they are in `pixels`; what needs to know where the object is lies in `content`.
"""
