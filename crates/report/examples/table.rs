//! Fits a CSV with columns N, D, C, loss and prints the conclusion: `cargo run --release -p scalelaw-report
//! --example table -- FILE [LAW] [RESAMPLES]`.

use scalelaw_fit::{FitSpec, LawChoice};

#[path = "../../fit/tests/testing/csv_table.rs"]
mod csv_table;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(path), law, resamples) = (args.next(), args.next(), args.next()) else {
        eprintln!("a file is missing (hint: table FILE [LAW] [RESAMPLES])");
        std::process::exit(2);
    };
    let Some(table) =
        std::fs::read_to_string(&path).ok().and_then(|text| csv_table::read(&path, &text, |_| true))
    else {
        eprintln!("`{path}` cannot be read as a table of N, D, C, loss");
        std::process::exit(1);
    };
    let law = LawChoice::parse(law.as_deref().unwrap_or("chinchilla"));
    let bootstrap = resamples.and_then(|text| text.parse().ok()).unwrap_or(1000);
    let spec = FitSpec { law, bootstrap, holdout_compute: Some(0.8), ..FitSpec::new() };
    let start = std::time::Instant::now();
    match scalelaw_fit::fit(&table, &spec) {
        Ok(found) => print!("{}", scalelaw_report::terminal::scaling::text(Ok(&found), 80)),
        Err(error) => eprintln!("{error}"),
    }
    eprintln!("{:.3} s", start.elapsed().as_secs_f64());
}
