//! Who stands where: a weight-balanced tree, whose sizes are both its balance and the ranks.
//!
//! Nodes are numbered as the players are, so the tree holds no keys: whoever calls says who stands before whom. Every
//! operation is O(log n), whatever the order of the calls, and equal calls give equal trees.

use alloc::vec::Vec;

const NONE: u32 = u32::MAX;
/// A side may be three times as heavy as the other, and a single rotation does where the inner grandchild is lighter
/// than twice the outer (Hirai and Yamamoto, "Balancing weight-balanced trees").
const HEAVIER: u32 = 3;
const INNER: u32 = 2;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Left, which stands before, and right.
    sides: [u32; 2],
    size: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Ranking {
    nodes: Vec<Node>,
    root: u32,
}

impl Default for Ranking {
    fn default() -> Self {
        Ranking { nodes: Vec::new(), root: NONE }
    }
}

impl Ranking {
    /// Takes a player in who is not there. `before` says whether the first stands before the second.
    pub(super) fn insert(&mut self, player: u32, before: &dyn Fn(u32, u32) -> bool) {
        let needed = player as usize + 1;
        if self.nodes.len() < needed {
            self.nodes.resize(needed, Node { sides: [NONE; 2], size: 0 });
        }
        self.nodes[player as usize] = Node { sides: [NONE; 2], size: 1 };
        self.root = self.put(self.root, player, before);
    }

    /// Takes a player out, who must stand where they were put.
    pub(super) fn remove(&mut self, player: u32, before: &dyn Fn(u32, u32) -> bool) {
        self.root = self.take(self.root, player, before);
    }

    /// How many stand before this player.
    pub(super) fn rank(&self, player: u32, before: &dyn Fn(u32, u32) -> bool) -> usize {
        let (mut at, mut rank) = (self.root, 0);
        while at != NONE && at != player {
            let is_after = before(at, player);
            if is_after {
                rank += self.size(self.side(at, 0)) + 1;
            }
            at = self.side(at, usize::from(is_after));
        }
        (rank + if at == NONE { 0 } else { self.size(self.side(at, 0)) }) as usize
    }

    /// Who stands at this rank, counted from 0.
    pub(super) fn at(&self, rank: usize) -> Option<u32> {
        let (mut at, mut rank) = (self.root, u32::try_from(rank).ok()?);
        while at != NONE {
            let left = self.size(self.side(at, 0));
            if rank == left {
                return Some(at);
            }
            let is_after = rank > left;
            if is_after {
                rank -= left + 1;
            }
            at = self.side(at, usize::from(is_after));
        }
        None
    }

    fn size(&self, at: u32) -> u32 {
        self.nodes.get(at as usize).map_or(0, |node| node.size)
    }

    fn side(&self, at: u32, side: usize) -> u32 {
        self.nodes[at as usize].sides[side]
    }

    fn put(&mut self, at: u32, player: u32, before: &dyn Fn(u32, u32) -> bool) -> u32 {
        if at == NONE {
            return player;
        }
        let side = usize::from(!before(player, at));
        self.nodes[at as usize].sides[side] = self.put(self.side(at, side), player, before);
        self.balance(at)
    }

    fn take(&mut self, at: u32, player: u32, before: &dyn Fn(u32, u32) -> bool) -> u32 {
        if at == NONE {
            return NONE;
        }
        if at != player {
            let side = usize::from(!before(player, at));
            self.nodes[at as usize].sides[side] = self.take(self.side(at, side), player, before);
            return self.balance(at);
        }
        let [left, right] = self.nodes[at as usize].sides;
        if left == NONE || right == NONE {
            return if left == NONE { right } else { left };
        }
        // The neighbour on the heavier side takes the place.
        let heavy = usize::from(self.size(right) > self.size(left));
        let mut next = self.side(at, heavy);
        while self.side(next, 1 - heavy) != NONE {
            next = self.side(next, 1 - heavy);
        }
        let rest = self.take(self.side(at, heavy), next, before);
        let mut sides = [left, right];
        sides[heavy] = rest;
        self.nodes[next as usize].sides = sides;
        self.balance(next)
    }

    /// Counts a node anew, and turns it where a side has become too heavy. Returns who stands in its place.
    fn balance(&mut self, at: u32) -> u32 {
        let sizes = self.nodes[at as usize].sides.map(|side| self.size(side));
        self.nodes[at as usize].size = sizes[0] + sizes[1] + 1;
        if sizes[0] + sizes[1] < 2 {
            return at;
        }
        let heavy = usize::from(sizes[1] > sizes[0]);
        if sizes[heavy] <= HEAVIER * sizes[1 - heavy] {
            return at;
        }
        let child = self.side(at, heavy);
        let [inner, outer] =
            [self.side(child, 1 - heavy), self.side(child, heavy)].map(|side| self.size(side));
        if inner >= INNER * outer {
            self.nodes[at as usize].sides[heavy] = self.turn(child, 1 - heavy);
        }
        self.turn(at, heavy)
    }

    /// Lifts the child on this side into the node's place.
    fn turn(&mut self, at: u32, side: usize) -> u32 {
        let child = self.side(at, side);
        self.nodes[at as usize].sides[side] = self.side(child, 1 - side);
        self.nodes[child as usize].sides[1 - side] = at;
        for node in [at, child] {
            let sizes = self.nodes[node as usize].sides.map(|side| self.size(side));
            self.nodes[node as usize].size = sizes[0] + sizes[1] + 1;
        }
        child
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The depth of the tree; panics where it is out of balance or counted wrongly.
    fn depth(ranking: &Ranking, at: u32) -> u32 {
        if at == NONE {
            return 0;
        }
        let [left, right] = ranking.nodes[at as usize].sides;
        let (light, heavy) =
            (ranking.size(left).min(ranking.size(right)), ranking.size(left).max(ranking.size(right)));
        assert!(light + heavy < 2 || heavy <= HEAVIER * light);
        assert_eq!(ranking.size(at), light + heavy + 1);
        1 + depth(ranking, left).max(depth(ranking, right))
    }

    proptest! {
        #[test]
        fn ranks_are_those_of_a_sorted_list(steps in prop::collection::vec((0..60_u32, 0..9_u32), 0..300)) {
            let mut ranking = Ranking::default();
            let mut scores = [None; 60];
            for (player, score) in steps {
                let order = |scores: &[Option<u32>; 60], a: u32, b: u32| (scores[a as usize], a) < (scores[b as usize], b);
                if scores[player as usize].is_some() {
                    ranking.remove(player, &|a, b| order(&scores, a, b));
                }
                scores[player as usize] = (score > 0).then_some(score);
                if score > 0 {
                    ranking.insert(player, &|a, b| order(&scores, a, b));
                }
                let mut sorted: Vec<u32> = (0..60).filter(|player| scores[*player as usize].is_some()).collect();
                sorted.sort_by_key(|player| (scores[*player as usize], *player));
                let listed: Vec<u32> = (0..60).map_while(|rank| ranking.at(rank)).collect();
                prop_assert_eq!(&listed, &sorted);
                for (rank, player) in sorted.iter().enumerate() {
                    prop_assert_eq!(ranking.rank(*player, &|a, b| order(&scores, a, b)), rank);
                }
                depth(&ranking, ranking.root);
            }
        }
    }

    #[test]
    fn ten_thousand_in_the_worst_order_lie_at_most_thirty_deep() {
        let mut ranking = Ranking::default();
        (0..10_000).for_each(|player| ranking.insert(player, &|a, b| a < b));
        assert!(depth(&ranking, ranking.root) <= 30);
        (0..9_000).for_each(|player| ranking.remove(player, &|a, b| a < b));
        assert!(depth(&ranking, ranking.root) <= 24);
        assert_eq!((ranking.at(0), ranking.at(1_000)), (Some(9_000), None));
    }
}
