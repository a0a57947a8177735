//! The runs as CSV (RFC 4180), a row each, numbers in full precision; what is not known is empty.

use std::collections::BTreeSet;

use crate::ReportInput;
use crate::runs::{self, Status};

/// The file's text.
pub fn csv(input: &ReportInput) -> String {
    let runs = runs::join(input);
    let corpora: BTreeSet<&str> =
        runs.iter().filter_map(|run| run.row).flat_map(|row| row.losses.keys().map(String::as_str)).collect();
    let mut head: Vec<String> = [
        "run_id",
        "name",
        "outcome",
        "excluded",
        "n",
        "d",
        "c",
        "budget_flops",
        "loss",
        "fitted_loss",
        "log_residual",
        "bpb",
        "lr",
        "seed",
        "n_layer",
        "d_model",
        "flops_spent",
        "wall_seconds",
        "tokens_per_second",
        "device",
    ]
    .map(String::from)
    .to_vec();
    head.extend(corpora.iter().map(|name| format!("loss/{name}")));
    let mut text = line(&head);
    for run in &runs {
        let row = run.row;
        let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or(String::new(), |x| x.to_string());
        let mut cells = vec![
            run.id.clone(),
            run.name.clone(),
            match &run.status {
                Status::Finished => "finished",
                Status::Diverged { .. } => "diverged",
                Status::Stopped { .. } => "stopped",
                Status::Failed { .. } => "failed",
                Status::Waiting => "waiting",
            }
            .to_string(),
            run.excluded.clone().unwrap_or_default(),
            number(Some(run.n)),
            number(Some(run.d)),
            number(Some(run.c)),
            number(run.budget),
            number(run.loss),
            number(run.fitted),
            number(run.residual),
            number(row.and_then(|row| row.bpb)),
            number(run.lr),
            run.seed.map_or(String::new(), |seed| seed.to_string()),
            row.map_or(String::new(), |row| row.n_layer.to_string()),
            row.map_or(String::new(), |row| row.d_model.to_string()),
            number(row.map(|row| row.flops_spent)),
            number(row.map(|row| row.wall_seconds)),
            number(row.and_then(|row| row.tokens_per_second)),
            row.map_or(String::new(), |row| row.device.clone()),
        ];
        cells.extend(corpora.iter().map(|name| number(row.and_then(|row| row.losses.get(*name)).copied())));
        text.push_str(&line(&cells));
    }
    text
}

pub(crate) fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(line(&["a".to_string(), "b, \"c\"".to_string()]), "a,\"b, \"\"c\"\"\"\r\n");
    }
}
