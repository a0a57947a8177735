//! What a design costs until it predicts a larger run: `flops [--law LAW] [--shared SHARE] [--draws N] [--within SHARE]
//! [--json] NAME=TARGET=TABLE.csv ...`.
//!
//! A table has a row per run in the order in which they are trained: `N`, `D`, `spent` (FLOPs of its own), `run` (cluster), and
//! where they were measured `seconds` and `loss`. TARGET is `N,D` or, where losses were measured, `N,D,loss`. Without
//! losses they are drawn from LAW, whose `noise` is split: SHARE of its variance is the same for all runs of a
//! cluster, which have seed and data in common.
//!
//! A design has reached its aim after the first run from which on every fit, also with the runs to come, predicts
//! the target within so much: a prediction that is right by chance and wrong with more data does not count.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use scalelaw_fit::stats::quantile;
use scalelaw_fit::{
    FitSpec, KnownLaw, Point, Rows, ScalingLaw, finite_rows, law_fit, laws, parse_law_with_params, search,
};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};

/// Kaplan's and Hoffmann's papers report seeds that differ by a few thousandths of the loss.
const LAW: &str = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.004";

struct Design {
    name: String,
    target: [f64; 2],
    /// As measured; defaults to a draw from the law.
    target_loss: Option<f64>,
    runs: Vec<Planned>,
}

struct Planned {
    n: f64,
    d: f64,
    spent: f64,
    seconds: Option<f64>,
    cluster: String,
    loss: Option<f64>,
}

/// What came of one draw.
struct Drawn {
    /// Relative error of the prediction from all runs; absent where the fit is refused.
    miss: Option<f64>,
    /// `None` where the whole design does not reach the aim.
    cost: Option<Cost>,
}

/// Cost up to where the aim was reached.
#[derive(Clone, Copy)]
struct Cost {
    runs: usize,
    flops: f64,
    seconds: Option<f64>,
}

struct Options {
    law: KnownLaw,
    shared: f64,
    draws: usize,
    within: f64,
}

fn main() {
    if let Err(why) = run() {
        eprintln!("{why}");
        std::process::exit(2);
    }
}

fn run() -> Result<(), String> {
    let mut options = Options { law: law(LAW)?, shared: 0.8, draws: 200, within: 0.01 };
    let (mut designs, mut is_json) = (Vec::new(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
        let number = |text: String| text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
        match arg.as_str() {
            "--law" => options.law = law(&value()?)?,
            "--shared" => options.shared = number(value()?)?.clamp(0.0, 1.0),
            "--draws" => options.draws = number(value()?)? as usize,
            "--within" => options.within = number(value()?)?,
            "--json" => is_json = true,
            _ => designs.push(design(&arg)?),
        }
    }
    if designs.is_empty() {
        return Err("no design (hint: flops NAME=N,D=TABLE.csv)".to_string());
    }
    let results: Vec<(&Design, Vec<Drawn>)> =
        designs.iter().map(|design| (design, costs(design, &options))).collect();
    if is_json {
        let designs: Vec<String> = results.iter().map(|(design, costs)| json(design, costs)).collect();
        println!("{{\"within\":{},\"designs\":[{}]}}", options.within, designs.join(","));
    } else {
        println!(
            "| design | runs | FLOPs in all | missed by | reached | runs until then | FLOPs, median [quartiles] | fewer than the first | seconds |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        results.iter().for_each(|(design, costs)| println!("{}", line(design, costs, &results[0].1)));
    }
    Ok(())
}

fn law(text: &str) -> Result<KnownLaw, String> {
    parse_law_with_params(text).map_err(|error| error.to_string())
}

fn design(arg: &str) -> Result<Design, String> {
    let parts: Vec<&str> = arg.splitn(3, '=').collect();
    let [name, target, path] = parts[..] else { return Err(format!("`{arg}` is not NAME=N,D=TABLE.csv")) };
    let target: Vec<f64> = target.split(',').map(|x| x.parse().unwrap_or(f64::NAN)).collect();
    let (target, target_loss) = match target[..] {
        [n, d] if n > 0.0 && d > 0.0 => ([n, d], None),
        [n, d, loss] if n > 0.0 && d > 0.0 && loss > 0.0 => ([n, d], Some(loss)),
        _ => return Err(format!("`{arg}`: the target is not N,D or N,D,loss")),
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let runs = lines.filter(|line| !line.is_empty()).map(|line| {
        let cells: BTreeMap<&str, &str> = head.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| cells.get(name).and_then(|cell| cell.parse::<f64>().ok());
        let must = |name: &str| number(name).ok_or(format!("`{path}`: no `{name}` in `{line}`"));
        Ok(Planned {
            n: must("N")?,
            d: must("D")?,
            spent: must("spent")?,
            seconds: number("seconds"),
            cluster: cells.get("run").copied().unwrap_or(line).to_string(),
            loss: number("loss"),
        })
    });
    Ok(Design { name: name.to_string(), target, target_loss, runs: runs.collect::<Result<_, String>>()? })
}

/// One for each draw, or one where losses were measured.
fn costs(design: &Design, options: &Options) -> Vec<Drawn> {
    let is_measured = design.target_loss.is_some() && design.runs.iter().all(|run| run.loss.is_some());
    let draws = if is_measured { 1 } else { options.draws };
    (0..draws as u64)
        .into_par_iter()
        .map(|draw| {
            let losses = match is_measured {
                true => design.runs.iter().filter_map(|run| run.loss).collect(),
                false => drawn(design, options, draw),
            };
            let [n, d] = design.target;
            let truth = design.target_loss.filter(|_| is_measured).unwrap_or_else(|| options.law.loss(n, d));
            cost(design, &losses, truth, options.within)
        })
        .collect()
}

fn drawn(design: &Design, options: &Options, draw: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(draw);
    // The law at N = D = infinity would be E alone; only the noise of a draw is wanted.
    let mut normal = |noise: f64| {
        let law = KnownLaw { noise, ..options.law.clone() };
        (law.draw(1e6, 1e7, &mut rng) / law.loss(1e6, 1e7)).ln()
    };
    let mut of_cluster: BTreeMap<&str, f64> = BTreeMap::new();
    design
        .runs
        .iter()
        .map(|run| {
            let shared = options.law.noise * options.shared.sqrt();
            let common = *of_cluster.entry(&run.cluster).or_insert_with(|| normal(shared));
            let own = normal(options.law.noise * (1.0 - options.shared).sqrt());
            options.law.loss(run.n, run.d) * (common + own).exp()
        })
        .collect()
}

/// Goes back from the whole design to the last set of runs whose fit misses.
fn cost(design: &Design, losses: &[f64], truth: f64, within: f64) -> Drawn {
    let rows: Vec<LossRow> = design.runs.iter().zip(losses).map(|(run, loss)| row(run, *loss)).collect();
    let miss =
        |n_runs: usize| predicted(&rows[..n_runs], design.target).map(|loss| (loss / truth - 1.0).abs());
    let mut reached = None;
    for n_runs in (1..=rows.len()).rev() {
        if miss(n_runs).is_none_or(|miss| miss > within) {
            break;
        }
        reached = Some(n_runs);
    }
    let cost = reached.map(|n_runs| {
        let runs = &design.runs[..n_runs];
        Cost {
            runs: n_runs,
            flops: runs.iter().map(|run| run.spent).sum(),
            seconds: runs.iter().map(|run| run.seconds).sum(),
        }
    });
    Drawn { miss: miss(rows.len()), cost }
}

fn row(run: &Planned, loss: f64) -> LossRow {
    LossRow {
        name: run.cluster.clone(),
        n: run.n,
        d: run.d,
        c: 6.0 * run.n * run.d,
        loss,
        budget: None,
        cluster: Some(run.cluster.clone()),
        seed: None,
        unique_tokens: None,
    }
}

/// The loss at the target by the law fitted to the rows; `None` where the fit is refused.
fn predicted(rows: &[LossRow], [n, d]: [f64; 2]) -> Option<f64> {
    let table = LossTable {
        rows: rows.to_vec(),
        ..LossTable::new("design", Counting::Rule(CountRule::SixNTotal), Measure::of_user("loss"))
    };
    // The number that a fit predicts without its intervals: a hundred times faster.
    let (law, rows) = (&laws::Chinchilla, Rows::of(&finite_rows(&table)));
    law_fit::check(law, &rows).ok()?;
    let theta = search::minimum(law, &rows, FitSpec::new().objective)?.theta;
    let at = Point::new(n, d, 6.0 * n * d);
    Some(law.log_loss(&theta, &at.relative_to(&rows.centre)).exp())
}

/// Quantile over the draws; those that never reached the aim count as dearer than all others.
fn of_draws(costs: &[Drawn], q: f64, of: impl Fn(&Cost) -> f64) -> Option<f64> {
    let values: Vec<f64> = costs.iter().map(|drawn| drawn.cost.as_ref().map_or(f64::INFINITY, &of)).collect();
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    // The lower of two neighbours, so that infinity is never mixed with a number.
    let at = sorted.get(((sorted.len().max(1) - 1) as f64 * q).floor() as usize).copied()?;
    at.is_finite().then_some(at)
}

fn seconds(costs: &[Drawn]) -> Option<f64> {
    let known: Vec<f64> = costs.iter().filter_map(|drawn| drawn.cost?.seconds).collect();
    quantile::median(&known)
}

/// Median relative error of the prediction from all runs.
fn miss(costs: &[Drawn]) -> Option<f64> {
    quantile::median(&costs.iter().filter_map(|drawn| drawn.miss).collect::<Vec<f64>>())
}

fn line(design: &Design, costs: &[Drawn], first: &[Drawn]) -> String {
    let show = |x: Option<f64>| x.map_or("never".to_string(), |x| format!("{x:.2e}"));
    let quantile = |q: f64| show(of_draws(costs, q, |cost| cost.flops));
    let median = |costs| of_draws(costs, 0.5, |cost| cost.flops);
    let ratio = median(first).zip(median(costs)).map(|(first, own)| first / own);
    let n_reached = costs.iter().filter(|drawn| drawn.cost.is_some()).count();
    format!(
        "| {} | {} | {:.2e} | {} | {:.0} % | {} | {} [{}, {}] | {} | {} |",
        design.name,
        design.runs.len(),
        design.runs.iter().map(|run| run.spent).sum::<f64>(),
        miss(costs).map_or("-".to_string(), |miss| format!("{:.2} %", 100.0 * miss)),
        100.0 * n_reached as f64 / costs.len() as f64,
        of_draws(costs, 0.5, |cost| cost.runs as f64).map_or("never".to_string(), |n| format!("{n:.0}")),
        quantile(0.5),
        quantile(0.25),
        quantile(0.75),
        ratio.map_or("-".to_string(), |ratio| format!("{ratio:.2} times")),
        seconds(costs).map_or("-".to_string(), |seconds| format!("{seconds:.0}")),
    )
}

fn json(design: &Design, costs: &[Drawn]) -> String {
    let number = |x: Option<f64>| x.map_or("null".to_string(), |x| format!("{x}"));
    let quantile = |q: f64| number(of_draws(costs, q, |cost| cost.flops));
    format!(
        "{{\"name\":\"{}\",\"runs\":{},\"flops_total\":{},\"miss_median\":{},\"draws\":{},\"reached\":{},\"runs_median\":{},\"flops_median\":{},\"flops_quartiles\":[{},{}],\"seconds_median\":{}}}",
        design.name.replace(['"', '\\'], "'"),
        design.runs.len(),
        design.runs.iter().map(|run| run.spent).sum::<f64>(),
        number(miss(costs)),
        costs.len(),
        costs.iter().filter(|drawn| drawn.cost.is_some()).count(),
        number(of_draws(costs, 0.5, |cost| cost.runs as f64)),
        quantile(0.5),
        quantile(0.25),
        quantile(0.75),
        number(seconds(costs)),
    )
}
