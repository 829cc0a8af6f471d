//! The counts of a classification.

use std::sync::Arc;

use super::super::pack::Gini;
use super::{Packed, Tally, count_of, split_count};

/// What a split of classes lowers.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) enum Impurity {
    /// The chance that two draws differ in class.
    Gini,
    /// The entropy in bits; by weight `w`, `w log2 w`.
    Entropy(Arc<[f64]>),
}

impl Impurity {
    /// The entropy of nodes of up to so much weight.
    pub(in crate::ml::forest) fn entropy(weight: usize) -> Self {
        let term = |weight: usize| if weight == 0 { 0.0 } else { weight as f64 * libm::log2(weight as f64) };
        Self::Entropy((0..=weight).map(term).collect())
    }
}

/// The counts of the rows of a node by class.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct ClassTally<'a> {
    codes: &'a [u32],
    counts: &'a [u32],
    loaded: bool,
    classes: usize,
    impurity: Impurity,
    /// By loaded row.
    votes: Vec<Vote>,
    /// By loaded row, its weight in the field of its class; empty where that does not fit.
    words: Vec<i64>,
    total: Vec<u64>,
    left: Vec<u64>,
    right: Vec<u64>,
    total_squares: u64,
    left_squares: u64,
    right_squares: u64,
    total_weight: u64,
    left_weight: u64,
}

/// A row's class and weight.
#[derive(Debug, Clone, Copy)]
pub(in crate::ml::forest) struct Vote {
    class: u32,
    weight: u32,
}

impl<'a> ClassTally<'a> {
    /// `counts` has the weight of each row of the table.
    pub(in crate::ml::forest) fn new(codes: &'a [u32], classes: usize, impurity: Impurity, counts: &'a [u32]) -> Self {
        let none = vec![0; classes];
        Self {
            codes,
            counts,
            loaded: false,
            classes,
            impurity,
            votes: Vec::new(),
            words: Vec::new(),
            total: none.clone(),
            left: none.clone(),
            right: none,
            total_squares: 0,
            left_squares: 0,
            right_squares: 0,
            total_weight: 0,
            left_weight: 0,
        }
    }

    fn vote(&self, row: usize) -> Vote {
        if self.loaded { self.votes[row] } else { self.vote_of(row) }
    }

    /// That of a row of the table.
    fn vote_of(&self, row: usize) -> Vote {
        Vote { class: self.codes[row], weight: self.counts[row] }
    }
}

/// The terms of a side's classes less that of its weight: the entropy times the weight, below zero.
fn entropy_score(terms: &[f64], counts: impl Iterator<Item = u64>) -> f64 {
    let (mut sum, mut weight) = (0.0, 0);
    for count in counts {
        sum += terms[count as usize];
        weight += count;
    }
    sum - terms[weight as usize]
}

/// From the sums of squared counts and the weights of both sides: the sum of both sides' squares over their weights.
fn gini_score(left: (u64, u64), right: (u64, u64)) -> f64 {
    let numerator = u128::from(left.0) * u128::from(right.1) + u128::from(right.0) * u128::from(left.1);
    numerator as f64 / (u128::from(left.1) * u128::from(right.1)) as f64
}

impl Tally for ClassTally<'_> {
    type Pack = Gini;
    type Entry = Vote;

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        self.words.clear();
        let mut votes = std::mem::take(&mut self.votes);
        votes.clear();
        votes.extend(rows.iter().map(|&row| self.vote_of(row as usize)));
        self.votes = votes;
        let weight: u64 = self.votes.iter().map(|vote| u64::from(vote.weight)).sum();
        let gini = matches!(self.impurity, Impurity::Gini);
        if gini && self.classes <= Gini::CLASSES && weight < Gini::WEIGHT {
            self.words.extend(self.votes.iter().map(|vote| Gini::word(vote.class, vote.weight)));
        }
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        self.total.fill(0);
        for row in node {
            let vote = self.vote(row);
            self.total[vote.class as usize] += u64::from(vote.weight);
        }
        self.total_weight = self.total.iter().sum();
        self.total_squares = self.total.iter().map(|count| count * count).sum();
    }

    fn is_pure(&self, _node: impl Iterator<Item = usize>) -> bool {
        self.total.iter().filter(|count| **count > 0).count() <= 1
    }

    fn packed(&self) -> Option<Packed<'_, Gini>> {
        (!self.words.is_empty()).then(|| Packed { items: &self.words, pack: Gini::new(&self.total) })
    }

    fn rewind(&mut self) {
        self.left.fill(0);
        self.right.copy_from_slice(&self.total);
        (self.left_squares, self.right_squares, self.left_weight) = (0, self.total_squares, 0);
    }

    /// The squares follow from `(a + w)² = a² + w(2a + w)`.
    fn move_left(&mut self, row: usize) {
        let vote = self.vote(row);
        let (class, weight) = (vote.class as usize, u64::from(vote.weight));
        self.left_squares += weight * (2 * self.left[class] + weight);
        self.left[class] += weight;
        self.right[class] -= weight;
        self.right_squares -= weight * (2 * self.right[class] + weight);
        self.left_weight += weight;
    }

    fn score(&self) -> f64 {
        match &self.impurity {
            Impurity::Gini => {
                let right_weight = self.total_weight - self.left_weight;
                gini_score((self.left_squares, self.left_weight), (self.right_squares, right_weight))
            }
            Impurity::Entropy(terms) => {
                entropy_score(terms, self.left.iter().copied()) + entropy_score(terms, self.right.iter().copied())
            }
        }
    }

    fn weights(&self) -> (u64, u64) {
        (self.left_weight, self.total_weight - self.left_weight)
    }

    fn words(&self) -> usize {
        self.classes
    }

    fn entry(&self, row: usize) -> Vote {
        self.vote(row)
    }

    fn add(&self, vote: Vote, sums: &mut [i64]) {
        let sum = &mut sums[vote.class as usize];
        *sum = sum.wrapping_add(count_of(vote.weight));
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        sums.iter().map(|word| split_count(*word)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    fn score_of(&self, left: &[i64], total: &[i64]) -> f64 {
        if let Impurity::Entropy(terms) = &self.impurity {
            let on_left = entropy_score(terms, left.iter().map(|word| split_count(*word).1));
            let rest = total.iter().zip(left).map(|(total, left)| split_count(*total).1 - split_count(*left).1);
            return on_left + entropy_score(terms, rest);
        }
        let side = |counts: &mut dyn Iterator<Item = u64>| counts.fold((0, 0), |(s, w), c| (s + c * c, w + c));
        let of_left = side(&mut left.iter().map(|word| split_count(*word).1));
        let of_right = side(&mut total.iter().zip(left).map(|(t, l)| split_count(*t).1 - split_count(*l).1));
        gini_score(of_left, of_right)
    }

    fn decrease(&self, score: f64) -> f64 {
        let before = match &self.impurity {
            Impurity::Gini => self.total_squares as f64 / self.total_weight as f64,
            Impurity::Entropy(terms) => entropy_score(terms, self.total.iter().copied()),
        };
        (score - before).max(0.0)
    }

    /// By the share of each class in turn. For two classes one order is enough and the best cut is found;
    /// for more it is a heuristic: the best of "this class against the rest" over all classes.
    fn orders(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    fn pull(&self, sums: &[i64], order: usize) -> i64 {
        split_count(sums[order]).1 as i64
    }

    fn weight_of(&self, sums: &[i64]) -> u64 {
        self.rows_and_weight(sums).1
    }

    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let begin = leaf.len();
        leaf.resize(begin + self.classes, 0.0);
        let mut sum = 0.0;
        for vote in node.map(|row| self.vote(row)) {
            let own = f64::from(vote.weight);
            leaf[begin + vote.class as usize] += own;
            sum += own;
        }
        leaf[begin..].iter_mut().for_each(|share| *share /= sum);
    }
}
