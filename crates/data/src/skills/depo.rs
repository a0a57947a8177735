//! The k-th successor in a cycle given as shuffled edges, after task Depo of Allen-Zhu 2025 (Physics of language
//! models 4.1). A document is `ab ca bc; 2a=c 1b=c`, with one letter per node.

use scalelaw_schema::generator::DepoTask;
use scalelaw_schema::score::FactSpace;

use crate::error::skills::{TaskError, check_range};
use crate::skills::draws::{Draws, Purpose};
use crate::skills::instances::draw_in;
use crate::skills::task::{Generate, Labelled, Part, Question, SkillEntropy};

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Shortest cycle.
const MIN_NODES: u64 = 3;

/// Smallest `max-nodes`: with fewer nodes there may be no longest cycle to hold out (8 nodes have 5040).
const LEAST_MAX: u64 = 8;

/// Questions per document.
const QUERIES: usize = 4;

#[derive(Debug)]
pub(crate) struct Depo {
    max_nodes: u64,
    max_steps: u64,
    key: u64,
    /// Sums of the weights of 3, 4, ... nodes.
    cumulative: Vec<f64>,
}

impl Depo {
    pub(crate) fn new(task: &DepoTask, key: u64) -> Result<Depo, TaskError> {
        let DepoTask { max_nodes, max_steps } = *task;
        check_range("max-nodes", max_nodes, LEAST_MAX, LETTERS.len() as u64)?;
        // Steps are written with one digit, and a whole round would end where it began.
        check_range("max-steps", max_steps, 1, 9.min(max_nodes - 1))?;
        let root = (max_nodes as f64).sqrt();
        let weights = (MIN_NODES..=max_nodes).map(|n| 1.0 / (n as f64 + root));
        let cumulative = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Ok(Depo { max_nodes, max_steps, key, cumulative: cumulative.collect() })
    }

    /// A number of nodes, in proportion to `1 / (n + √max)`.
    fn n_nodes(&self, draws: &mut Draws) -> u64 {
        let at = draws.unit() * self.cumulative.last().copied().unwrap_or_default();
        MIN_NODES + self.cumulative.partition_point(|&sum| sum <= at) as u64
    }

    /// A cycle in a part: each node is followed by the next, the last by the first. Without `n` the number of nodes is
    /// drawn again each time, since a part may have none of the shortest cycles.
    fn cycle(&self, n: Option<u64>, part: Part, draws: &mut Draws) -> Vec<u8> {
        let draw = |draws: &mut Draws| {
            let n = n.unwrap_or_else(|| self.n_nodes(draws));
            let mut nodes = LETTERS[..self.max_nodes as usize].to_vec();
            draws.shuffle(&mut nodes);
            nodes.truncate(n as usize);
            nodes
        };
        draw_in(part, draws, draw, |cycle| canonical(cycle))
    }

    fn write_edges(&self, cycle: &[u8], draws: &mut Draws, text: &mut Labelled) {
        let n = cycle.len();
        let mut edges: Vec<usize> = (0..n).collect();
        draws.shuffle(&mut edges);
        for (edge_idx, at) in edges.into_iter().enumerate() {
            if edge_idx > 0 {
                text.template(" ");
            }
            text.key(&letters(&[cycle[at], cycle[(at + 1) % n]]));
        }
        text.template(";");
    }

    fn write_query(&self, cycle: &[u8], steps: u64, draws: &mut Draws, text: &mut Labelled) {
        let at = draws.below(cycle.len() as u64) as usize;
        text.template(" ");
        text.key(&format!("{steps}{}", letters(&[cycle[at]])));
        text.template("=");
        text.answer(&letters(&[cycle[(at + steps as usize) % cycle.len()]]));
    }

    /// Number of powers of two up to `max_steps`, which items ask for.
    fn n_powers(&self) -> u64 {
        u64::from(self.max_steps.ilog2()) + 1
    }
}

/// The rotation of a cycle that begins with the smallest node.
fn canonical(cycle: &[u8]) -> Vec<u8> {
    let smallest = (0..cycle.len()).min_by_key(|&at| cycle[at]).unwrap_or(0);
    [&cycle[smallest..], &cycle[..smallest]].concat()
}

fn letters(nodes: &[u8]) -> String {
    nodes.iter().map(|&node| char::from(node)).collect()
}

impl Generate for Depo {
    fn document(&self, part: Part, idx: u64) -> Labelled {
        let mut draws = Draws::new(self.key, part.into(), idx);
        let cycle = self.cycle(None, part, &mut draws);
        let mut text = Labelled::default();
        self.write_edges(&cycle, &mut draws, &mut text);
        for _ in 0..QUERIES {
            let steps = 1 + draws.below(self.max_steps);
            self.write_query(&cycle, steps, &mut draws, &mut text);
        }
        text.template("\n");
        text
    }

    /// Asks about the longest cycles, with steps 1, 2, 4, ... in turn.
    fn question(&self, idx: u64) -> Question {
        let steps = 1 << (idx % self.n_powers());
        let mut draws = Draws::new(self.key, Purpose::Questions, idx);
        let cycle = self.cycle(Some(self.max_nodes), Part::HeldOut, &mut draws);
        let mut text = Labelled::default();
        self.write_edges(&cycle, &mut draws, &mut text);
        self.write_query(&cycle, steps, &mut draws, &mut text);
        // Fewer steps than nodes never lead back to the start, so the answer is one of the other nodes.
        let chance = 1.0 / (self.max_nodes - 1) as f64;
        Question { text, group: Some(format!("steps={steps}")), chance }
    }

    fn n_questions(&self) -> Option<u64> {
        None
    }

    fn facts(&self) -> Option<FactSpace> {
        None
    }

    /// Of an item over all instances, held out or not. There are `(n - 1)!` cycles of all nodes, `n!` orders of their
    /// edges, `n` nodes to start at, and the powers of two as steps.
    fn entropy(&self) -> SkillEntropy {
        let n = self.max_nodes;
        let ln_factorial = |n: u64| (1..=n).map(|i| (i as f64).ln()).sum::<f64>();
        SkillEntropy {
            facts: 0.0,
            key: ln_factorial(n - 1) + ln_factorial(n) + (n as f64).ln() + (self.n_powers() as f64).ln(),
            answer: ((n - 1) as f64).ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_answer_is_the_node_that_many_edges_on() {
        let depo = Depo::new(&DepoTask { max_nodes: 12, max_steps: 8 }, 3).unwrap();
        let mut n_seen = BTreeSet::new();
        for idx in 0..500 {
            let text = depo.document(Part::Train, idx).text;
            let (edges, queries) = text.trim_end().split_once(';').unwrap();
            let next: BTreeMap<char, char> = edges
                .split(' ')
                .map(|edge| (edge.chars().next().unwrap(), edge.chars().nth(1).unwrap()))
                .collect();
            n_seen.insert(next.len());
            for query in queries.trim_start().split(' ') {
                let letters: Vec<char> = query.chars().collect();
                let steps = letters[0].to_digit(10).unwrap();
                let end = (0..steps).fold(letters[1], |node, _| next[&node]);
                assert_eq!((letters[2], letters[3]), ('=', end), "{text}");
            }
        }
        assert_eq!(n_seen.into_iter().collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    }

    #[test]
    fn the_entropy_of_a_key_is_that_of_a_full_count() {
        // A task of four nodes, one or two steps: 3! cycles, 4! orders, 4 nodes, 2 numbers of steps make 1152
        // prompts. A cycle is written as four orders of its nodes, and 24 of those are drawn equally often.
        let depo = Depo { max_nodes: 4, max_steps: 2, key: 0, cumulative: vec![1.0] };
        let n_draws = 1152 * 200;
        let mut prompts: BTreeMap<String, u64> = BTreeMap::new();
        let mut draws = Draws::new(1, Purpose::Questions, 0);
        for draw_idx in 0..n_draws {
            let mut cycle = LETTERS[..4].to_vec();
            draws.shuffle(&mut cycle);
            let mut text = Labelled::default();
            depo.write_edges(&cycle, &mut draws, &mut text);
            depo.write_query(&cycle, 1 + draw_idx % 2, &mut draws, &mut text);
            *prompts.entry(Question { text, group: None, chance: 0.0 }.into_item().prompt).or_default() += 1;
        }
        assert_eq!(prompts.len(), 1152);
        assert!((depo.entropy().key - 1152_f64.ln()).abs() < 1e-12);
        let counted = crate::skills::task::entropy_of(prompts.values().map(|&n| n as f64 / n_draws as f64));
        // The plug-in estimate is too small by (cells - 1) / (2 draws) = 0.0025.
        assert!((counted + 1151.0 / (2.0 * n_draws as f64) - 1152_f64.ln()).abs() < 3e-4, "{counted}");
    }
}
