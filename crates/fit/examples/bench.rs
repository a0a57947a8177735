//! The tables of `crates/fit/README.md`: `bench FOLDER` reads the published tables there and prints, for each,
//! the objective of Chinchilla's law, the time of the fit and of 4,000 refits, the held-out error of each law
//! and of the automatic choice, and the coverage of 90 % prediction intervals.

mod csv_table;

use std::path::Path;
use std::time::Instant;

use scalelaw_fit::{FitSpec, LawChoice};
use scalelaw_schema::table::LossTable;

const LAWS: [&str; 6] = ["six", "chinchilla", "chinchilla-tied", "kaplan-floor", "power-c-floor", "kaplan"];

fn main() {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("the folder of the tables is missing (hint: bench FOLDER)");
        std::process::exit(2);
    };
    let tables = tables(Path::new(&folder));
    println!("| table | rows | objective (log-huber 1e-3) | fit, ms | 4,000 refits, s |");
    println!("|---|---|---|---|---|");
    for (name, table) in &tables {
        let spec = FitSpec { bootstrap: 0, ..FitSpec::new() };
        let mut bare = None;
        let times: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                bare = scalelaw_fit::minimum(table, "chinchilla", spec.objective);
                1e3 * start.elapsed().as_secs_f64()
            })
            .collect();
        let fit_ms = scalelaw_fit::quantile::median(&times).unwrap_or_default();
        let start = Instant::now();
        let n_refits = scalelaw_fit::refits(table, "chinchilla", spec.objective, 4000, 0).len();
        let refit_s = start.elapsed().as_secs_f64();
        let objective = bare.map_or("refused".into(), |value| format!("{value:.14}"));
        println!("| {name} | {} | {objective} | {fit_ms:.2} | {refit_s:.2} ({n_refits}) |", table.rows.len());
    }
    println!();
    println!(
        "| table | {} | best single | auto | regret | coverage90 of auto | of chinchilla | interval score of auto | of chinchilla |",
        LAWS.join(" | ")
    );
    println!("|{}", "---|".repeat(LAWS.len() + 8));
    let percent = |share: Option<f64>| share.map_or("-".into(), |share| format!("{:.2}", 100.0 * share));
    let (mut autos, mut bests, mut chinchillas, mut coverages) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, table) in &tables {
        let holdout = |law: LawChoice| {
            let spec = FitSpec { law, bootstrap: 0, holdout_compute: Some(0.8), ..FitSpec::new() };
            scalelaw_fit::fit(table, &spec).ok().and_then(|found| found.fits[0].holdout.clone())
        };
        let of_law = |name: &str| holdout(LawChoice::Named(name.into()));
        let each: Vec<Option<f64>> = LAWS.iter().map(|law| of_law(law).map(|found| found.are)).collect();
        let best = each.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let auto = holdout(LawChoice::Auto);
        let are = auto.as_ref().map(|found| found.are);
        let score = auto.as_ref().and_then(|found| found.interval_score90);
        let coverage = auto.and_then(|found| found.coverage90);
        let columns: Vec<String> = each.iter().map(|are| percent(*are)).collect();
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            columns.join(" | "),
            percent(Some(best)),
            percent(are),
            percent(are.map(|are| are - best)),
            percent(coverage),
            percent(of_law("chinchilla").and_then(|found| found.coverage90)),
            percent(score),
            percent(of_law("chinchilla").and_then(|found| found.interval_score90)),
        );
        autos.extend(are);
        bests.push(each.clone());
        chinchillas.extend(each[1]);
        coverages.extend(coverage);
    }
    let median = |values: Vec<f64>| scalelaw_fit::quantile::median(&values);
    println!();
    for (idx, law) in LAWS.iter().enumerate() {
        let column: Vec<f64> = bests.iter().filter_map(|each| each[idx]).collect();
        println!("median held-out error of {law}: {} %", percent(median(column)));
    }
    println!("median held-out error of auto: {} %", percent(median(autos.clone())));
    let n_better = autos.iter().zip(&chinchillas).filter(|(auto, chinchilla)| auto < chinchilla).count();
    println!("auto is better than chinchilla on {n_better} of {} tables", autos.len());
    println!(
        "mean coverage of 90 % intervals: {}",
        percent(Some(coverages.iter().sum::<f64>() / coverages.len() as f64))
    );
}

/// Whether a row, given a getter of its columns, belongs to the table.
type Keep<'a> = &'a dyn Fn(&dyn Fn(&str) -> Option<String>) -> bool;

fn tables(folder: &Path) -> Vec<(String, LossTable)> {
    let read = |file: &str, label: &str, keep: Keep| {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        Some((label.to_owned(), csv_table::read(label, &text, keep)?))
    };
    let has_d = |field: &dyn Fn(&str) -> Option<String>| field("D").is_some_and(|d| !d.is_empty());
    let mut tables: Vec<(String, LossTable)> = [
        "chinchilla_240",
        "chinchilla_isoflop",
        "marin_comma_isoflop",
        "kyo_234",
        "misfitting_bestlr",
        "datablations_c4",
        "olmo_ladder_c4",
    ]
    .iter()
    .filter_map(|name| read(&format!("{name}.csv"), name, &has_d))
    .collect();
    // Each configuration of Porian et al. is a table of its own; its rows are one curve per model.
    let mut configs: Vec<String> = Vec::new();
    if let Ok(text) = std::fs::read_to_string(folder.join("porian_refinedweb_isoflop.csv")) {
        configs = text.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect();
        configs.sort();
        configs.dedup();
    }
    for config in configs {
        let keep =
            |field: &dyn Fn(&str) -> Option<String>| field("config").as_deref() == Some(config.as_str());
        tables.extend(read("porian_refinedweb_isoflop.csv", &config, &keep));
    }
    tables
}
