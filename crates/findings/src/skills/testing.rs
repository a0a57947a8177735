//! Known skills for the tests of this crate.

use scalelaw_fit::{KnownLaw, parse_law_with_params};
use scalelaw_schema::table::LossTable;

use super::simulate::{SkillGrid, draw_losses};

pub(crate) fn law(text: &str) -> KnownLaw {
    parse_law_with_params(text).unwrap()
}

/// N* at C: (alpha·A/(beta·B))^(1/(alpha+beta)) · (C/6)^(beta/(alpha+beta)).
pub(crate) const AGGREGATE: &str = "chinchilla:E=1.2,A=30,B=150,alpha=0.35,beta=0.35,noise=0.01";
/// A 1.64 times: N* 2.03 times the aggregate's.
pub(crate) const HUNGRY: &str = "chinchilla:E=0.8,A=49.2,B=150,alpha=0.35,beta=0.35,noise=0.01";
/// B 1.64 times: N* 0.49 times.
pub(crate) const DATA: &str = "chinchilla:E=0.9,A=30,B=246,alpha=0.35,beta=0.35,noise=0.01";
/// Twice the losses above the floor: the same N* from another law.
pub(crate) const TIE: &str = "chinchilla:E=0.5,A=60,B=300,alpha=0.35,beta=0.35,noise=0.01";

pub(crate) fn grid() -> SkillGrid {
    SkillGrid { budgets: vec![1e12, 3e12, 9e12, 2.7e13], n_sizes: 5, span_decades: 0.7, n_seeds: 2 }
}

pub(crate) fn sweep(correlation: f64, seed: u64) -> (LossTable, Vec<LossTable>) {
    let truths =
        [("aggregate", law(AGGREGATE)), ("lookup", law(HUNGRY)), ("sums", law(DATA)), ("tie", law(TIE))];
    let mut tables = draw_losses(&grid().runs(&law(AGGREGATE)), &truths, correlation, seed);
    let aggregate = tables.remove(0);
    (aggregate, tables)
}
