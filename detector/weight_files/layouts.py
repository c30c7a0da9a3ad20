"""Arrays as PyTorch lays them out, and as we do; each function has its inverse beside it.

Ours: kernels [high, wide, in, out] and [in, out]; the background is the last class and has no box; a box's change is
dy, dx, dh, dw; anchors of a cell go through sizes first. PyTorch: [out, in, high, wide] and [out, in]; dx, dy, dw, dh.
Shapes: A anchors a cell, K classes, C channels, P cells on each side of a pooled RoI.
"""

import numpy as np

from detector.weight_files.found_weights import AnchorLayout

POOLED, CHANNELS = 7, 256
SIDES = [1, 0, 3, 2]  # dx, dy, dw, dh to dy, dx, dh, dw, and back


def kernel(theirs: np.ndarray) -> np.ndarray:
    """[out, in, high, wide] or [out, in] with its axes in our order."""
    return np.ascontiguousarray(theirs.transpose(2, 3, 1, 0) if theirs.ndim == 4 else theirs.T)


def their_kernel(ours: np.ndarray) -> np.ndarray:
    """The inverse of `kernel`."""
    return np.ascontiguousarray(ours.transpose(3, 2, 0, 1) if ours.ndim == 4 else ours.T)


def flat_kernel(theirs: np.ndarray) -> np.ndarray:
    """[out, C·P·P] on a flattened map to ours on one whose channels vary fastest, [P·P·C, out]."""
    maps = theirs.reshape(len(theirs), CHANNELS, POOLED, POOLED)
    return np.ascontiguousarray(maps.transpose(2, 3, 1, 0).reshape(-1, len(theirs)))


def their_flat_kernel(ours: np.ndarray) -> np.ndarray:
    """The inverse of `flat_kernel`."""
    maps = ours.reshape(POOLED, POOLED, CHANNELS, ours.shape[-1])
    return np.ascontiguousarray(maps.transpose(3, 2, 0, 1).reshape(ours.shape[-1], -1))


def background_last(theirs: np.ndarray) -> np.ndarray:
    """Rows of K + 1 classes, the first of which is the background, with it at the end."""
    return np.concatenate([theirs[1:], theirs[:1]])


def background_first(ours: np.ndarray) -> np.ndarray:
    """The inverse of `background_last`."""
    return np.concatenate([ours[-1:], ours[:-1]])


def sides(rows: np.ndarray) -> np.ndarray:
    """Rows of four changes a box, [4·N, …], with x and y exchanged; its own inverse."""
    return rows.reshape(-1, 4, *rows.shape[1:])[:, SIDES].reshape(rows.shape)


def sizes_first(theirs: np.ndarray, layout: AnchorLayout, width: int) -> np.ndarray:
    """Rows of anchors whose ratio varies slowest, `width` rows an anchor, with the size varying slowest."""
    rows = theirs.reshape(layout.ratios, layout.sizes, width, *theirs.shape[1:])
    return rows.swapaxes(0, 1).reshape(theirs.shape)


def ratios_first(ours: np.ndarray, layout: AnchorLayout, width: int) -> np.ndarray:
    """The inverse of `sizes_first`."""
    rows = ours.reshape(layout.sizes, layout.ratios, width, *ours.shape[1:])
    return rows.swapaxes(0, 1).reshape(ours.shape)
