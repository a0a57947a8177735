//! Skills of a simulated sweep: everything that the report can show of them.

use scalelaw_findings::capacity::{self, CapacityConclusion, CapacityRun, FactLoss};
use scalelaw_findings::mixture::best::{BestMixture, best_mixture};
use scalelaw_findings::mixture::fraction::{AtFraction, FractionCurve, against_fraction};
use scalelaw_findings::mixture::mixing_law::{MixingConclusion, MixtureRun, MixtureRuns, mixing_laws};
use scalelaw_findings::skills::conclusion::SkillConclusion;
use scalelaw_findings::skills::simulate::{SkillGrid, draw_losses};
use scalelaw_findings::skills::{SkillSpec, skills};
use scalelaw_findings::validation::{ValidationConclusion, validation};
use scalelaw_findings::{Surface, Target, Viable};
use scalelaw_fit::{KnownLaw, parse_law_with_params};
use scalelaw_report::{SkillReport, TargetReport};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::{Counting, LossTable};

const AGGREGATE: &str = "chinchilla:E=1.2,A=30,B=150,alpha=0.35,beta=0.35,noise=0.01";
const SKILLS: [(&str, &str); 4] = [
    ("lookup", "chinchilla:E=0.8,A=42,B=150,alpha=0.35,beta=0.35,noise=0.015"),
    ("arithmetic", "chinchilla:E=0.6,A=30,B=230,alpha=0.35,beta=0.35,noise=0.015"),
    ("programs", "chinchilla:E=0.5,A=33,B=160,alpha=0.35,beta=0.35,noise=0.02"),
    // Beyond the largest size at every budget.
    ("biographies", "chinchilla:E=0.5,A=120,B=150,alpha=0.35,beta=0.35,noise=0.02"),
];

/// All that a skill report borrows.
pub struct SimulatedSkills {
    tables: Vec<LossTable>,
    conclusion: SkillConclusion,
    fractions: Vec<FractionCurve>,
    mixing: MixingConclusion,
    best: Vec<BestMixture>,
    validation: ValidationConclusion,
    capacity: Vec<(String, CapacityConclusion)>,
    viable: Vec<(String, Viable)>,
}

impl SimulatedSkills {
    /// What the report takes.
    pub fn report(&self) -> SkillReport<'_> {
        SkillReport {
            tables: &self.tables,
            conclusion: Some(&self.conclusion),
            fractions: &self.fractions,
            mixing: Some(&self.mixing),
            best: self.best.iter().map(|best| ("tutor", best)).collect(),
            validation: Some(&self.validation),
            capacity: self.capacity.iter().map(|(skill, found)| (skill.as_str(), found)).collect(),
            targets: self
                .viable
                .iter()
                .map(|(skill, found)| TargetReport {
                    skill,
                    goal: SkillTarget::Nll(found.target.loss),
                    found,
                })
                .collect(),
            absent: vec![("viable: sums", "no loss of its range reaches an accuracy of 0.9")],
        }
    }
}

/// Four skills, `draws` draws for every interval; `name` is put before the first skill's name.
pub fn simulate(draws: usize, name: &str) -> SimulatedSkills {
    let law = |text: &str| parse_law_with_params(text).expect("the law is written above");
    let spec = SkillSpec { draws, ..SkillSpec::new() };
    let grid =
        SkillGrid { budgets: vec![1e12, 3e12, 9e12, 2.7e13], n_sizes: 5, span_decades: 0.7, n_seeds: 2 };
    let first = format!("{name}{}", SKILLS[0].0);
    let mut truths = vec![("all, as trained", law(AGGREGATE)), (first.as_str(), law(SKILLS[0].1))];
    truths.extend(SKILLS[1..].iter().map(|(name, text)| (*name, law(text))));
    let tables = draw_losses(&grid.runs(&law(AGGREGATE)), &truths, 0.5, 3);
    let conclusion = skills(&tables[0], &tables[1..], &spec).expect("the runs have budgets");
    let found = validation(&tables[1..3], &[], &spec).expect("two sets");
    let viable = conclusion
        .skills
        .iter()
        .zip([1.9, 1.7, 1.0, 0.4])
        .filter_map(|(text, loss)| {
            let surface = Surface::new(text.fit.as_ref()?)?;
            Some((text.name.clone(), surface.viable(Target { loss, probability: 0.9 })?))
        })
        .collect();
    let (mixing, best) = mixing(&spec);
    SimulatedSkills {
        fractions: vec![fractions("lookup", 40.0, &spec), fractions("arithmetic", 20.0, &spec)],
        tables,
        conclusion,
        mixing,
        best,
        validation: found,
        capacity: vec![(first.clone(), bits())],
        viable,
    }
}

fn fractions(skill: &str, a: f64, spec: &SkillSpec) -> FractionCurve {
    let fractions: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];
    let grid = SkillGrid { budgets: vec![1e13], n_sizes: 7, span_decades: 0.8, n_seeds: 1 };
    let centre =
        parse_law_with_params("chinchilla:E=1,A=40,B=120,alpha=0.35,beta=0.35").expect("written here");
    let tables: Vec<LossTable> = fractions
        .iter()
        .map(|fraction| {
            let params = vec![0.8, a, 60.0 / fraction.powf(0.35), 0.35, 0.35];
            let law = KnownLaw { params, noise: 0.01, ..centre.clone() };
            let mut table =
                draw_losses(&grid.runs(&centre), &[(skill, law)], 0.0, (1e3 * fraction) as u64).remove(0);
            table.rows.iter_mut().for_each(|row| row.name = format!("{skill} {fraction} {}", row.name));
            table
        })
        .collect();
    let runs: Vec<AtFraction> =
        fractions.iter().zip(&tables).map(|(&fraction, table)| AtFraction { fraction, table }).collect();
    against_fraction(skill, &runs, None, spec).expect("five fractions")
}

fn mixing(spec: &SkillSpec) -> (MixingConclusion, Vec<BestMixture>) {
    let law = parse_law_with_params("power-n:A=1,alpha=0,noise=0.01").expect("written here");
    let one = draw_losses(
        &SkillGrid { budgets: vec![1e13], n_sizes: 63, span_decades: 1.0, n_seeds: 1 }
            .runs(&parse_law_with_params(AGGREGATE).expect("written above")),
        &[("noise", law)],
        0.0,
        5,
    );
    let mut noise = one[0].rows.iter().map(|row| row.loss);
    let mut runs = Vec::new();
    for i in 0..6 {
        for j in 0..6 - i {
            let (first, second) = (0.05 + 0.17 * f64::from(i), 0.05 + 0.17 * f64::from(j));
            let shares = vec![first, second, 1.0 - first - second];
            let losses =
                (0..3).map(|text| Some((1.0 + 2.0 * (-3.0 * shares[text]).exp()) * noise.next()?)).collect();
            runs.push(MixtureRun { name: format!("mixture {}", runs.len()), shares, losses });
        }
    }
    let names = |names: [&str; 3]| names.map(String::from).to_vec();
    let runs = MixtureRuns {
        source: "simulated".to_string(),
        sources: names(["facts", "sums", "prose"]),
        texts: names(["lookup", "arithmetic", "prose"]),
        runs,
    };
    let found = mixing_laws(&runs, spec).expect("21 mixtures");
    let trained: Vec<Vec<f64>> = runs.runs.iter().map(|run| run.shares.clone()).collect();
    let weights = [("lookup".to_string(), 3.0), ("arithmetic".to_string(), 1.0)];
    let best = best_mixture(&found, &trained, &weights).expect("both texts have a law");
    (found, vec![best])
}

fn bits() -> CapacityConclusion {
    let mut runs = Vec::new();
    for n in [1e4, 3e4, 1e5] {
        for (exposures, most) in [(10.0, 0.2), (30.0, 0.5), (100.0, 1.0), (300.0, 1.6), (1000.0, 2.0)] {
            for seed in 0..2_u64 {
                let n_facts = 12_000.0;
                let share = (most * n * (0.95 + 0.1 * seed as f64) / (8.0 * n_facts)).min(0.999);
                let value = FactLoss {
                    what: "value".to_string(),
                    n_facts,
                    entropy_bits: 8.0,
                    nll_nats: (1.0 - share) * 256f64.ln(),
                };
                let name = format!("{n} parameters, {exposures} exposures, seed {seed}");
                runs.push(CapacityRun { name, n, exposures, seed: Some(seed), facts: vec![value] });
            }
        }
    }
    capacity::capacity("simulated", Counting::Rule(CountRule::Exact), &runs, 0.95)
}
