"""Shapley values of a boosted forest, summed by groups of features: exactly TreeSHAP's, by looking them up.

A row reaches one leaf of a tree, but every leaf has a share in its Shapley values, which depends on nothing but which
conditions on the leaf's path the row meets. So the values are worked out once per leaf and set of conditions met, and
summed over the leaves of each lowest subtree, whose 7 conditions and those above it make a code of a few bits. A row
then costs its codes and one look-up per lowest subtree, where TreeSHAP walks every path anew.

The game is TreeSHAP's path-dependent one: a feature left out goes both ways, in the ratio of the training rows' hessian
sums. Sources: Lundberg et al. 2020, Nature Machine Intelligence 2 (the game); Yang 2021, arXiv 2109.09847 (values
tabulated per leaf). The mean over orders of joining is an integral of a product, taken by Gauss's rule, which is exact
for polynomials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# Of a lowest subtree: 7 conditions, 8 leaves. Higher ones would square the table, lower ones double the look-ups.
LOWEST = 3
# Beyond it a tree's table takes more memory and time than it saves.
DEEPEST = 8
# Rows that are looked up at a time: what they take stays in the processor's cache.
ROWS_AT_ONCE = 8_192


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree by node, the root first; `left` is -1 at a leaf, where `condition` is its value.

    A row goes left when its value of `feature` is below `condition`, or missing where `default_left`. `cover` is the
    sum of the training rows' hessians at the node.
    """

    left: "NDArray[np.int64]"
    right: "NDArray[np.int64]"
    feature: "NDArray[np.int64]"
    condition: "NDArray[np.float32]"
    default_left: "NDArray[np.bool_]"
    cover: "Matrix"

    @property
    def depth(self) -> int:
        """Conditions between the root and the deepest leaf."""
        depth, level = 0, np.zeros(1, dtype=np.int64)
        while (inner := level[self.left[level] >= 0]).size:
            depth, level = depth + 1, np.concatenate([self.left[inner], self.right[inner]])
        return depth


@dataclass(frozen=True, eq=False)
class Forest:
    """T trees, each filled up to one depth D: 2**D - 1 conditions in the order of a heap, 2**D leaves left to right.

    Filling conditions send every row left; `feature` is -1 there. `left_share` is the part of the training rows'
    hessian that went left. `start` is what every row starts from.
    """

    feature: "NDArray[np.int64]"
    threshold: "NDArray[np.float32]"
    default_left: "NDArray[np.bool_]"
    left_share: "Matrix"
    leaf: "Matrix"
    start: float

    @property
    def depth(self) -> int:
        """Conditions between the root and a leaf."""
        return int(self.leaf.shape[1]).bit_length() - 1

    @classmethod
    def of(cls, trees: Sequence[Tree], start: float) -> "Forest":
        """Lay trees out side by side; none may be deeper than `DEEPEST`."""
        depth = max([LOWEST, *(tree.depth for tree in trees)])
        inner = 2**depth - 1
        forest = cls(
            feature=np.full((len(trees), inner), -1),
            threshold=np.full((len(trees), inner), np.inf, dtype=np.float32),
            default_left=np.ones((len(trees), inner), dtype=bool),
            left_share=np.ones((len(trees), inner)),
            leaf=np.zeros((len(trees), inner + 1)),
            start=start,
        )
        for number, tree in enumerate(trees):
            forest._fill(number, tree)
        return forest

    def _fill(self, number: int, tree: Tree) -> None:
        """Lay one tree into its row, level by level: `at` are its nodes, `place` where they stand in the heap."""
        at, place = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        inner = self.feature.shape[1]
        for _ in range(self.depth):
            split = tree.left[at] >= 0
            here, there = at[split], place[split]
            self.feature[number, there] = tree.feature[here]
            self.threshold[number, there] = tree.condition[here]
            self.default_left[number, there] = tree.default_left[here]
            self.left_share[number, there] = tree.cover[tree.left[here]] / tree.cover[here]
            # A leaf above the last level goes on to the left.
            at = np.concatenate([tree.left[here], tree.right[here], at[~split]])
            place = np.concatenate([2 * there + 1, 2 * there + 2, 2 * place[~split] + 1])
        self.leaf[number, place - inner] = tree.condition[at]


def grouped_attributions(
    forest: Forest, values: "NDArray[np.float32]", group: "NDArray[np.int64]", groups: int
) -> "Matrix":
    """(n, groups + 1) Shapley values of (n, F) `values`, summed over the features of each group; last the mean.

    `group` (F,) is each feature's group. NaN is missing. The rows sum to the forest's predictions.
    """
    count = len(values)
    # Every feature twice: missing as what always goes left, and as what never does; then a row that always goes left.
    missing = np.isnan(values.T)
    low, high = (np.where(missing, np.float32(stand_in), values.T) for stand_in in (-np.inf, np.inf))
    columns = np.concatenate([low, high, np.full((1, count), -np.inf, dtype=np.float32)])
    column = np.where(forest.default_left, forest.feature, forest.feature + values.shape[1])
    column[forest.feature < 0] = len(columns) - 1
    paths = _Paths(forest.depth)

    total = np.zeros((count, groups))
    for tree in range(len(forest.leaf)):
        table, threshold = paths.table(forest, tree, group, groups), forest.threshold[tree][:, None]
        for first in range(0, count, ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            codes, summed = paths.codes(columns[column[tree], rows] < threshold), total[rows]
            for code, of_code in zip(codes, table, strict=True):
                summed += of_code.take(code, axis=0)
    mean = forest.start + float((forest.leaf * paths.share(forest.left_share).prod(axis=2)).sum())
    return np.column_stack([total, np.full(count, mean)])


class _Paths:
    """What all trees of one depth have in common: each leaf's path, and the codes of the lowest subtrees."""

    def __init__(self, depth: int) -> None:
        leaves = np.arange(2**depth)
        steps = np.arange(depth)
        # (leaves, D) conditions on the way to each leaf, and whether the way goes left there.
        self.node = 2**steps - 1 + (leaves[:, None] >> (depth - steps))
        self.left = (leaves[:, None] >> (depth - 1 - steps)) & 1 == 0
        # (2**D, D) whether the condition of each step is met, for each set of conditions met.
        self.met = (np.arange(2**depth)[:, None] >> steps) & 1 == 1
        points, weights = np.polynomial.legendre.leggauss((depth + 1) // 2)
        self.points = list(zip((points + 1) / 2, weights / 2, strict=True))
        # A code says, from its lowest bit on, at which conditions above a lowest subtree the row keeps to the way
        # there, then at which of the subtree's own it goes left.
        above, inside = depth - LOWEST, 2**LOWEST - 1
        self.subtrees = 2**above
        subtree = np.arange(self.subtrees)
        self.asked = np.empty((self.subtrees, above + inside), dtype=np.int64)
        self.asked[:, :above] = self.node[subtree << LOWEST, :above]
        for place in range(inside):
            level = (place + 1).bit_length() - 1
            self.asked[:, above + place] = (2 ** (above + level) + (subtree << level)) + place - 2**level
        self.turned = (~self.left[subtree << LOWEST, :above] << steps[:above]).sum(axis=1).astype(np.uint16)
        # (codes, 8) the set of conditions met on the way to each leaf of a lowest subtree.
        code = np.arange(2 ** (above + inside))
        self.set_of = np.repeat((code & (2**above - 1))[:, None], 2**LOWEST, axis=1)
        for leaf in range(2**LOWEST):
            for step in range(above, depth):
                place = np.flatnonzero(self.asked[0, above:] == self.node[leaf, step])[0]
                went_left = code >> (above + place) & 1 == 1
                self.set_of[:, leaf] |= (went_left == self.left[leaf, step]).astype(np.int64) << step

    def codes(self, goes_left: "NDArray[np.bool_]") -> "NDArray[np.int64]":
        """(subtrees, n) codes of rows by (conditions, n) whether they go left."""
        bits = goes_left.astype(np.uint16)
        code = np.zeros((self.subtrees, bits.shape[1]), dtype=np.uint16)
        for place in range(self.asked.shape[1] - 1, -1, -1):
            code <<= np.uint16(1)
            code |= bits[self.asked[:, place]]
        return (code ^ self.turned[:, None]).astype(np.int64)

    def share(self, left_share: "Matrix") -> "Matrix":
        """(..., leaves, D) part of the training rows that goes on towards each leaf at each step of its path."""
        left = left_share[..., self.node]
        return np.where(self.left, left, 1 - left)

    def table(self, forest: Forest, tree: int, group: "NDArray[np.int64]", groups: int) -> "Matrix":
        """(subtrees, codes, groups) Shapley values of the leaves of each lowest subtree, summed by group."""
        by_leaf = self._by_leaf(forest, tree, group, groups)
        grouped = by_leaf.reshape(self.subtrees, 2**LOWEST, len(self.met), groups)
        table = grouped[:, 0].take(self.set_of[:, 0], axis=1)
        for leaf in range(1, 2**LOWEST):
            table += grouped[:, leaf].take(self.set_of[:, leaf], axis=1)
        return table

    def _by_leaf(self, forest: Forest, tree: int, group: "NDArray[np.int64]", groups: int) -> "Matrix":
        """(leaves, sets of conditions met, groups) Shapley values of each leaf, summed by group."""
        share, feature = self.share(forest.left_share[tree]), forest.feature[tree][self.node]
        steps = range(feature.shape[1])
        # A feature that is asked again on a path is one player: the first step stands for all of them. Steps that stand
        # for no feature are players who change nothing, which leaves the others' values as they are.
        same = feature[:, :, None] == feature[:, None, :]
        player = (feature >= 0) & (same.argmax(axis=2) == np.arange(len(steps)))
        absent = np.where(player, np.where(same, share[:, None, :], 1.0).prod(axis=2), 1.0)[:, None, :]
        holds = np.ones((*feature.shape[:1], *self.met.shape), dtype=bool)
        for step in steps:
            holds &= self.met[None, :, step, None] | ~(same[:, None, step] & player[:, None, :])
        present = holds.astype(float)
        value = np.zeros_like(present)
        for point, weight in self.points:
            part = present * point + absent * (1 - point)
            for step in steps:
                others = [other for other in steps if other != step]
                value[..., step] += weight * part[..., others].prod(axis=-1)
        value *= (present - absent) * forest.leaf[tree][:, None, None]
        member = (group[np.maximum(feature, 0)][:, :, None] == np.arange(groups)) & player[:, :, None]
        return np.asarray(value @ member.astype(float))
